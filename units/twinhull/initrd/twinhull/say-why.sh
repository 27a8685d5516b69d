#!/bin/sh
# Says on every console why the initrd failed.
report() {
    echo "twinhull: the initrd failed; these units did:"
    systemctl --failed --no-pager --no-legend --plain
    journalctl -b --no-pager -p warning -n 20 -o short-monotonic
    echo "twinhull: rebooting in 10 seconds (boot with twinhull.emergency=shell for a shell)"
}
text=$(report)
for console in $(cat /sys/class/tty/console/active); do
    printf '%s\n' "$text" >"/dev/$console" || :
done
