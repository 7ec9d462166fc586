#!/bin/sh
# Before the files go: dpkg says "remove" or "upgrade", rpm 0 (gone) or 1 (an upgrade).
# An upgrade leaves the service running; the new package restarts it.
set -e

case "$1" in
remove | 0)
	if [ -d /run/systemd/system ]; then
		systemctl --no-reload disable --now dirsync.service || true
	fi
	;;
esac
