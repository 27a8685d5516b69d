# Runs in the guest as runvm-fill.service: fills /var but for $1 bytes.
set -u
file=/var/runvm-fill
rm -f "$file"
at=0
step=$(($(stat -f -c '%f * %S' /var)))
# What the file's own metadata take isn't known before: ever smaller pieces, until not even a block is left.
while [ "$step" -ge 1024 ]; do
    if fallocate -o "$at" -l "$step" "$file" 2> /dev/null; then
        at=$((at + step))
    else
        step=$((step / 2))
    fi
done
if [ "$1" -lt "$at" ]; then
    truncate -s "-$1" "$file"
else
    rm "$file"
fi
sync -f /var
