#!/bin/sh
# After the files are in place: dpkg says "configure" and the version before, rpm 1 (new) or 2 (an upgrade).
# Nothing is started or enabled here: without a configuration there is nothing to do, and with one the administrator
# decides when the first user is written.
set -e

case "$1" in
configure | 1 | 2) ;;
*) exit 0 ;;
esac

if ! getent passwd dirsync >/dev/null; then
	if command -v systemd-sysusers >/dev/null; then
		systemd-sysusers dirsync.conf
	else
		useradd --system --user-group --no-create-home --home-dir /var/lib/dirsync --shell /usr/sbin/nologin dirsync
	fi
fi

# The store belongs to the service alone; credentials it may read and not write.
install -d -m 0700 -o dirsync -g dirsync /var/lib/dirsync
install -d -m 0750 -o root -g dirsync /etc/dirsync/credentials

if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	# After an upgrade, what runs shall be what is installed. What does not run stays as it is.
	systemctl try-restart dirsync.service || true
fi
