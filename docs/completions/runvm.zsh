#compdef runvm

autoload -U is-at-least

_runvm() {
    typeset -A opt_args
    typeset -a _arguments_options
    local ret=1

    if is-at-least 5.2; then
        _arguments_options=(-s -S -C)
    else
        _arguments_options=(-s -C)
    fi

    local context curcontext="$curcontext" state line
    _arguments "${_arguments_options[@]}" : \
'--exec=[Run CMD with /bin/sh in the guest, print what it prints, power off, and end with its exit status]:CMD:_default' \
'--persist=[Keep what the guest writes in FILE (a qcow2 overlay) and FILE.vars, for the next time]:FILE:_files' \
'--firmware=[What starts the disk]:FIRMWARE:((uefi\:"UEFI, which is OVMF"
bios\:"A BIOS, which is SeaBIOS, as on many clouds'\'' older types of machines"))' \
'--secure-boot=[Boot with Secure Boot on and the keys in DIR (PK.esl, KEK.esl and db.esl, as \`image-builder secure-boot enroll-files\` writes them)]:DIR:_files' \
'--disk-size=[Size of the guest'\''s disk, at least the image'\''s, such as 6G]:SIZE:_default' \
'--memory=[Memory of the guest]:SIZE:_default' \
'--cpus=[Number of processors of the guest]:N:_default' \
'--accel=[How the processor is made; auto tries KVM for a moment and falls back to TCG]:ACCEL:((auto\:"KVM when a short trial shows that it runs firmware here, TCG otherwise"
kvm\:"The kernel'\''s hypervisor"
tcg\:"QEMU'\''s translator\: slow, works everywhere"))' \
'*--extra-disk=[Attach FILE as a further disk; changes to it are thrown away (repeatable)]:FILE:_files' \
'*--qemu-arg=[Add ARG to QEMU'\''s command line (repeatable)]:ARG:_default' \
'--timeout=[Kill the guest after this time, such as 90, 5m or 1h, and end with status 124]:TIME:_default' \
'--serial-log=[Keep the serial console'\''s output in FILE]:FILE:_files' \
'--cmdline-extra=[Add STR to the kernel'\''s command line, through systemd-stub]:STR:_default' \
'*--credential=[Pass a system credential (repeatable)]:NAME=VALUE:_default' \
'--ssh-port=[Let port N of the host'\''s loopback lead to the guest'\''s SSH]:N:_default' \
'*--forward=[Let port HOST of the host'\''s loopback lead to port GUEST of the guest, such as 8080\:80 (repeatable)]:HOST:GUEST:_default' \
'--mac=[Address of the guest'\''s network card]:MAC:_default' \
'--cloud=[The cloud the guest finds around itself]:CLOUD:((aws\:"Amazon EC2, with session tokens"
azure\:"Microsoft Azure"
config-drive\:"OpenStack'\''s config drive\: a small read-only disk labelled \`CONFIG-2\`"
digitalocean\:"DigitalOcean; its addresses are in the metadata, though there is DHCP here"
gcp\:"Google Compute Engine"
hetzner\:"Hetzner Cloud"
matchbox\:"matchbox at \`http\://10.0.2.101\`, which the kernel command line says"
nocloud\:"\`NoCloud\`\: a small read-only disk labelled \`CIDATA\`"
nocloud-net\:"\`NoCloud\` at \`http\://10.0.2.101/\`, which the firmware'\''s serial number says"
openstack\:"OpenStack'\''s metadata service"
oracle\:"Oracle Cloud"
scaleway\:"Scaleway, with its service at \`http\://169.254.42.42\`"
vultr\:"Vultr"))' \
'--metadata=[Metadata in place of the generated ones; @MAC@ becomes the network card'\''s address]:FILE:_files' \
'--fault=[Let the metadata service fail\: refuse, delay, error, truncate or garbage, with \:N for the first N requests or \:TIME (60s, 2m) for the time after the first one]:KIND[:N|:TIME]:_default' \
'--user-data=[The user data]:FILE:_files' \
'--network-config=[The network-config of NoCloud or the network_data.json of OpenStack; @MAC@ becomes the network card'\''s address]:FILE:_files' \
'--hostname=[The host name, in the metadata or else as a credential]:NAME:_default' \
'--instance-id=[The instance'\''s id in the metadata]:ID:_default' \
'*--ssh-key=[A public key file, for the metadata or else for root (repeatable)]:FILE:_files' \
'--serve=[Serve DIR to the guest with nginx, at http\://10.0.2.100 (with --cloud hetzner\: http\://169.254.169.100)]:DIR:_files' \
'--serve-log=[Log the guest'\''s requests to FILE]:FILE:_files' \
'--serve-rate=[Bytes a second that a connection gets, such as 100K]:SIZE:_default' \
'*--serve-directive=[Add a line to the \`server\` block of nginx'\''s configuration, such as \`max_ranges 0;\` (repeatable)]:DIRECTIVE:_default' \
'--nginx=[The command that is nginx, for --serve; words are separated by white space]:COMMAND:_default' \
'--kill-after=[Cut the guest'\''s power after a time, such as 90s, or when a line of the serial console has TEXT in it, and end with status 125]:TIME|TEXT:_default' \
'--kill-delay=[Cut the power so long after that moment, such as 1.5s]:TIME:_default' \
'--fill-disk=[Fill the guest'\''s /var before its services start, but for SIZE, such as 0 or 10M; the file is /var/runvm-fill]:SIZE:_default' \
'--network-cut=[Pull the guest'\''s network cable out after a time, or when a line of the serial console has TEXT in it]:TIME|TEXT:_default' \
'--network-back=[Plug the cable in again so long after it was pulled out]:TIME:_default' \
'--console[With --exec\: show the serial console on stderr]' \
'--tpm[Give the guest a TPM 2.0, made by swtpm; with --persist its state is kept in the folder FILE.tpm]' \
'--no-reboot[End when the guest reboots for the first time]' \
'--no-autologin[Do not log root in on the serial console]' \
'--no-network[Give the guest no network card]' \
'--dry-run[Print QEMU'\''s command line instead of running it]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
'-V[Print version]' \
'--version[Print version]' \
':image -- The image to boot (raw, qcow2 or VMDK), or a spec (*.yaml) to build and boot:_files' \
&& ret=0
}

(( $+functions[_runvm_commands] )) ||
_runvm_commands() {
    local commands; commands=()
    _describe -t commands 'runvm commands' commands "$@"
}

if [ "$funcstack[1]" = "_runvm" ]; then
    _runvm "$@"
else
    compdef _runvm runvm
fi
