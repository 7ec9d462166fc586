#!/bin/sh
# After the files are gone: dpkg says "remove", "purge" or "upgrade", rpm 0 (gone) or 1 (an upgrade).
# Not even a purge deletes /var/lib/dirsync, the only copy of the directory and of what is known of everybody in it,
# nor the configuration and credentials that somebody wrote. The user stays, so that these files keep an owner.
set -e

case "$1" in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
	fi
	;;
esac
if [ "$1" = purge ]; then
	echo "dirsync: /var/lib/dirsync and /etc/dirsync are kept; delete them yourself once nobody needs them" >&2
fi
