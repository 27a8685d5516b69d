complete -c runvm -l exec -d 'Run CMD with /bin/sh in the guest, print what it prints, power off, and end with its exit status' -r
complete -c runvm -l persist -d 'Keep what the guest writes in FILE (a qcow2 overlay) and FILE.vars, for the next time' -r -F
complete -c runvm -l firmware -d 'What starts the disk' -r -f -a "uefi\t'UEFI, which is OVMF'
bios\t'A BIOS, which is SeaBIOS, as on many clouds\' older types of machines'"
complete -c runvm -l secure-boot -d 'Boot with Secure Boot on and the keys in DIR (PK.esl, KEK.esl and db.esl, as `image-builder secure-boot enroll-files` writes them)' -r -F
complete -c runvm -l disk-size -d 'Size of the guest\'s disk, at least the image\'s, such as 6G' -r
complete -c runvm -l memory -d 'Memory of the guest' -r
complete -c runvm -l cpus -d 'Number of processors of the guest' -r
complete -c runvm -l accel -d 'How the processor is made; auto tries KVM for a moment and falls back to TCG' -r -f -a "auto\t'KVM when a short trial shows that it runs firmware here, TCG otherwise'
kvm\t'The kernel\'s hypervisor'
tcg\t'QEMU\'s translator: slow, works everywhere'"
complete -c runvm -l extra-disk -d 'Attach FILE as a further disk; changes to it are thrown away (repeatable)' -r -F
complete -c runvm -l qemu-arg -d 'Add ARG to QEMU\'s command line (repeatable)' -r
complete -c runvm -l timeout -d 'Kill the guest after this time, such as 90, 5m or 1h, and end with status 124' -r
complete -c runvm -l serial-log -d 'Keep the serial console\'s output in FILE' -r -F
complete -c runvm -l cmdline-extra -d 'Add STR to the kernel\'s command line, through systemd-stub' -r
complete -c runvm -l credential -d 'Pass a system credential (repeatable)' -r
complete -c runvm -l ssh-port -d 'Let port N of the host\'s loopback lead to the guest\'s SSH' -r
complete -c runvm -l forward -d 'Let port HOST of the host\'s loopback lead to port GUEST of the guest, such as 8080:80 (repeatable)' -r
complete -c runvm -l mac -d 'Address of the guest\'s network card' -r
complete -c runvm -l cloud -d 'The cloud the guest finds around itself' -r -f -a "aws\t'Amazon EC2, with session tokens'
azure\t'Microsoft Azure'
config-drive\t'OpenStack\'s config drive: a small read-only disk labelled `CONFIG-2`'
digitalocean\t'DigitalOcean; its addresses are in the metadata, though there is DHCP here'
gcp\t'Google Compute Engine'
hetzner\t'Hetzner Cloud'
matchbox\t'matchbox at `http://10.0.2.101`, which the kernel command line says'
nocloud\t'`NoCloud`: a small read-only disk labelled `CIDATA`'
nocloud-net\t'`NoCloud` at `http://10.0.2.101/`, which the firmware\'s serial number says'
openstack\t'OpenStack\'s metadata service'
oracle\t'Oracle Cloud'
scaleway\t'Scaleway, with its service at `http://169.254.42.42`'
vultr\t'Vultr'"
complete -c runvm -l metadata -d 'Metadata in place of the generated ones; @MAC@ becomes the network card\'s address' -r -F
complete -c runvm -l fault -d 'Let the metadata service fail: refuse, delay, error, truncate or garbage, with :N for the first N requests or :TIME (60s, 2m) for the time after the first one' -r
complete -c runvm -l user-data -d 'The user data' -r -F
complete -c runvm -l network-config -d 'The network-config of NoCloud or the network_data.json of OpenStack; @MAC@ becomes the network card\'s address' -r -F
complete -c runvm -l hostname -d 'The host name, in the metadata or else as a credential' -r
complete -c runvm -l instance-id -d 'The instance\'s id in the metadata' -r
complete -c runvm -l ssh-key -d 'A public key file, for the metadata or else for root (repeatable)' -r -F
complete -c runvm -l serve -d 'Serve DIR to the guest with nginx, at http://10.0.2.100 (with --cloud hetzner: http://169.254.169.100)' -r -F
complete -c runvm -l serve-log -d 'Log the guest\'s requests to FILE' -r -F
complete -c runvm -l serve-rate -d 'Bytes a second that a connection gets, such as 100K' -r
complete -c runvm -l serve-directive -d 'Add a line to the `server` block of nginx\'s configuration, such as `max_ranges 0;` (repeatable)' -r
complete -c runvm -l nginx -d 'The command that is nginx, for --serve; words are separated by white space' -r
complete -c runvm -l kill-after -d 'Cut the guest\'s power after a time, such as 90s, or when a line of the serial console has TEXT in it, and end with status 125' -r
complete -c runvm -l kill-delay -d 'Cut the power so long after that moment, such as 1.5s' -r
complete -c runvm -l fill-disk -d 'Fill the guest\'s /var before its services start, but for SIZE, such as 0 or 10M; the file is /var/runvm-fill' -r
complete -c runvm -l network-cut -d 'Pull the guest\'s network cable out after a time, or when a line of the serial console has TEXT in it' -r
complete -c runvm -l network-back -d 'Plug the cable in again so long after it was pulled out' -r
complete -c runvm -l console -d 'With --exec: show the serial console on stderr'
complete -c runvm -l tpm -d 'Give the guest a TPM 2.0, made by swtpm; with --persist its state is kept in the folder FILE.tpm'
complete -c runvm -l no-reboot -d 'End when the guest reboots for the first time'
complete -c runvm -l no-autologin -d 'Do not log root in on the serial console'
complete -c runvm -l no-network -d 'Give the guest no network card'
complete -c runvm -l dry-run -d 'Print QEMU\'s command line instead of running it'
complete -c runvm -s h -l help -d 'Print help (see more with \'--help\')'
complete -c runvm -s V -l version -d 'Print version'
