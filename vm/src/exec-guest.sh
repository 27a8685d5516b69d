# Runs in the guest as runvm-exec.service: hands the output of a command to the host through one virtio
# port and its exit status through another, then powers off.
set -u

# The device of the virtio port named $1, once it is there. udev's link is not relied on.
port() {
    tries=0
    while [ "$tries" -lt 300 ]; do
        for dir in /sys/class/virtio-ports/*; do
            [ -r "$dir/name" ] && read -r name < "$dir/name" || continue
            if [ "$name" = "$1" ] && [ -c "/dev/${dir##*/}" ]; then
                echo "/dev/${dir##*/}"
                return 0
            fi
        done
        [ "$tries" -ne 0 ] || modprobe -q virtio_console
        sleep 0.2
        tries=$((tries + 1))
    done
    echo "runvm: the port $1 did not appear" >&2
    return 1
}

output=$(port org.twinhull.exec.output) || exit 1
report=$(port org.twinhull.exec.status) || exit 1

# A dot keeps the newlines at the end.
command=$(cat "$CREDENTIALS_DIRECTORY/runvm.exec.command" && echo .) || exit 1
command=${command%.}

# A port can be opened once only, so the command writes to a pipe (it may want to open /dev/stdout).
pipe=$RUNTIME_DIRECTORY/output
mkfifo "$pipe" || exit 1
cat < "$pipe" > "$output" &
pump=$!
(
    unset CREDENTIALS_DIRECTORY RUNTIME_DIRECTORY INVOCATION_ID JOURNAL_STREAM SYSTEMD_EXEC_PID
    exec /bin/sh -c -- "$command"
) < /dev/null > "$pipe" 2>&1
status=$?

# All the output is with the host when the pump ends: a write to a port returns when the host has it.
# Something left in the background may hold the pipe open; it gets five seconds.
(sleep 5; kill "$pump") > /dev/null 2>&1 &
guard=$!
wait "$pump"
kill "$guard" 2> /dev/null
printf 'exit %d\n' "$status" > "$report"
systemctl poweroff --no-block
