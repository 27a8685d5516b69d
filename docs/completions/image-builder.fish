# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_image_builder_global_optspecs
    string join \n h/help V/version
end

function __fish_image_builder_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_image_builder_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_image_builder_using_subcommand
    set -l cmd (__fish_image_builder_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c image-builder -n "__fish_image_builder_needs_command" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_needs_command" -s V -l version -d 'Print version'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "check" -d 'Check a spec or a module and show every mistake in it'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "build" -d 'Build a disk image'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "inspect" -d 'Show what a disk image holds and check its hashes'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "convert" -d 'Write a disk image in the format of a cloud or hypervisor'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "diff" -d 'Show what is different between two images'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "sbom" -d 'Print the bill of materials of an image as SPDX 2.3'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "secure-boot" -d 'Make keys for Secure Boot, and sign images with a key that is elsewhere'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "keygen" -d 'Make the keys that sign updates of an image'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "release" -d 'Write an image into a release folder, for machines to update from'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "sign" -d 'Sign a document of a release folder, also in two steps'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "sign-image" -d 'Sign a compressed disk image, for twinhull-install'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "promote" -d 'Make a release the newest one of a channel, or renew the channel'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "rotate-keys" -d 'Add, remove or renew keys that sign updates'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "verify-release" -d 'Check a release folder as a machine would, and every file in it'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "schema" -d 'Print the JSON Schema of specs, for editors'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "modules" -d 'List the modules that come with image-builder, and their templates'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "explain" -d 'Say what a module, template or parameter means'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "search" -d 'Find templates and parameters by what they are for'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "render" -d 'Print the files that the services of a spec become'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "why" -d 'Say which services a file of the image comes from'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "graph" -d 'Print services with what they refer to and what wants them'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "new-module" -d 'Make the folder of a module of your own'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "test-module" -d 'Run the cases in `tests/` of a module'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "doctor" -d 'Say what this host lacks for building and booting images, and what to do about it'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "completions" -d 'Print a shell completion script'
complete -c image-builder -n "__fish_image_builder_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c image-builder -n "__fish_image_builder_using_subcommand check" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand check" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l out -d 'Folder for NAME_VERSION.raw, .manifest.json and .spdx.json; made if missing' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l cache-dir -d 'Where trees are cached' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l cache-limit -d 'Most room that packed file data may take in the cache, for faster builds; 0 keeps none' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l guest-dir -d 'Folder with Twinhull\'s own programs for the image [default: beside image-builder]' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l format -d 'Also write the image in this format, beside it; can be given several times' -r -f -a "qcow2\t'QEMU, Proxmox, OpenStack'
vmdk\t'VMware ESXi and vSphere, import to AWS'
vhd\t'Azure: a fixed VHD of whole MiB'
gcp\t'Google Cloud: disk.raw of whole GiB in a tar.gz'
raw.zst\t'the raw disk, compressed, for download'
bmap\t'block map beside the raw disk, for bmaptool'"
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l offline -d 'Forbid the network: a tree that is not cached is an error'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l refresh -d 'Fetch the tree again even if it is cached, for new package versions'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l explain -d 'Say what had to be made again, and what changed since the last build of the same image'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l check-reproducible -d 'Build a second time with other time zone, locale, umask, number of processors and an empty cache, and name the first file and field that differ'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -l json -d 'Print the manifest as JSON on standard output instead of the paths of what was written'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c image-builder -n "__fish_image_builder_using_subcommand inspect" -l svg -d 'Draw the sizes as a treemap, too' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand inspect" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand inspect" -l size -d 'Show where the bytes of /usr went: by folder, kind of file, package, and the largest files'
complete -c image-builder -n "__fish_image_builder_using_subcommand inspect" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand convert" -l format -d 'What to write' -r -f -a "qcow2\t'QEMU, Proxmox, OpenStack'
vmdk\t'VMware ESXi and vSphere, import to AWS'
vhd\t'Azure: a fixed VHD of whole MiB'
gcp\t'Google Cloud: disk.raw of whole GiB in a tar.gz'
raw.zst\t'the raw disk, compressed, for download'
bmap\t'block map beside the raw disk, for bmaptool'"
complete -c image-builder -n "__fish_image_builder_using_subcommand convert" -l out -d 'The file to write [default: beside the image, with the format\'s extension]' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand convert" -l json -d 'Print format, path and sizes as JSON on standard output instead of the path'
complete -c image-builder -n "__fish_image_builder_using_subcommand convert" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c image-builder -n "__fish_image_builder_using_subcommand diff" -l json -d 'Print everything as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand diff" -l all -d 'Show long lists whole'
complete -c image-builder -n "__fish_image_builder_using_subcommand diff" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand sbom" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -f -a "keygen" -d 'Make new keys: PK, KEK and db, each with a certificate'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -f -a "enroll-files" -d 'Write what machines need to know the keys: signature lists (.esl), signed variables (.auth) and certificates (.der)'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -f -a "prepare" -d 'Write what is to be signed in an image, to sign it elsewhere'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -f -a "attach" -d 'Put signatures that were made elsewhere into an image'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and not __fish_seen_subcommand_from keygen enroll-files prepare attach help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from keygen" -l common-name -d 'Name in the certificates, before PK, KEK and db' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from keygen" -l bits -d 'Size of the RSA keys; some firmware knows 2048 only' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from keygen" -l days -d 'How long the certificates are valid from now on; firmware doesn\'t look at it' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from keygen" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -l out -d 'Folder for the files; made if missing' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -l db -d 'Another certificate for db, such as Microsoft\'s for option ROMs; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -l kek -d 'Another certificate for KEK; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -l pk-key -d 'Private key of PK, a file or a PKCS #11 URI [default: PK.key in the folder]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -l kek-key -d 'Private key of KEK, a file or a PKCS #11 URI [default: KEK.key in the folder]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from enroll-files" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from prepare" -l certificate -d 'Certificate of the key that will sign, PEM or DER' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from prepare" -l out -d 'Folder for what is to be signed; it must not have files yet' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from prepare" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from attach" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from help" -f -a "keygen" -d 'Make new keys: PK, KEK and db, each with a certificate'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from help" -f -a "enroll-files" -d 'Write what machines need to know the keys: signature lists (.esl), signed variables (.auth) and certificates (.der)'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from help" -f -a "prepare" -d 'Write what is to be signed in an image, to sign it elsewhere'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from help" -f -a "attach" -d 'Put signatures that were made elsewhere into an image'
complete -c image-builder -n "__fish_image_builder_using_subcommand secure-boot; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c image-builder -n "__fish_image_builder_using_subcommand keygen" -l image -d 'The image they are for, its image.id' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand keygen" -l keys -d 'How many keys a role gets; can be given several times [default: 1 each]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand keygen" -l threshold -d 'How many keys of a role must sign; can be given several times [default: 1 each]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand keygen" -l expires -d 'How long machines believe it; `rotate-keys` renews it' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand keygen" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l to -d 'Folder with one folder an image; made if missing' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l root -d 'The first root, 1.root.json of `keygen`: needed once' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l key -d 'Private key of the role release; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l patches-from -d 'Make patches from this version; can be given several times [default: the newest of every channel]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l no-patches -d 'Make no patches'
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand release" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -l key -d 'Private key to sign with; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -l prepare -d 'Write what is to be signed into this file' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -l attach -d 'A signature that was made elsewhere: 64 bytes' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -l public -d 'Public key of that signature' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l key -d 'Private key to sign with; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l id -d 'The image\'s name [default: from the manifest beside it]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l image-version -d 'The image\'s version [default: from the manifest beside it]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l arch -d 'For which processor, x86-64 or arm64 [default: from the manifest beside it]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l prepare -d 'Write what is to be signed into this file' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l attach -d 'A signature that was made elsewhere: 64 bytes' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l public -d 'Public key of that signature' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand sign-image" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l channel -d 'The channel' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l key -d 'Private key of the role channel; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l expires -d 'How long machines believe it' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l rollout -d 'Spread the machines\' updates over this time' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l start -d 'When the rollout begins, such as 2026-12-01T06:00Z [default: now]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l floor -d 'Oldest version that may ever be offered from now on [default: as it is]' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand promote" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l add -d 'A key the role gets, as a file or 64 hexadecimal digits; can be given several times' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l remove -d 'A key the role loses; can be given several times' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l threshold -d 'How many keys of a role must sign; can be given several times' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l expires -d 'How long machines believe it' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l key -d 'Private key to sign with; can be given several times' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand rotate-keys" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand verify-release" -l channel -d 'The channel' -r
complete -c image-builder -n "__fish_image_builder_using_subcommand verify-release" -l root -d 'The root that machines have in their image [default: the folder\'s 1.root.json, unchecked]' -r -F
complete -c image-builder -n "__fish_image_builder_using_subcommand verify-release" -l json -d 'Print the result as JSON on standard output'
complete -c image-builder -n "__fish_image_builder_using_subcommand verify-release" -s q -l quiet -d 'Only show errors'
complete -c image-builder -n "__fish_image_builder_using_subcommand verify-release" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand schema" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand modules" -l json -d 'Print them with all parameters as JSON'
complete -c image-builder -n "__fish_image_builder_using_subcommand modules" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand explain" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand search" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand render" -l json -d 'Print files, ports, needed commands and what targets want as JSON'
complete -c image-builder -n "__fish_image_builder_using_subcommand render" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand why" -l json -d 'Print the services and where they come from as JSON'
complete -c image-builder -n "__fish_image_builder_using_subcommand why" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand graph" -l dot -d 'Print it for Graphviz'
complete -c image-builder -n "__fish_image_builder_using_subcommand graph" -l svg -d 'Print a drawing'
complete -c image-builder -n "__fish_image_builder_using_subcommand graph" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand new-module" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand test-module" -l json -d 'Print the result of each case as JSON'
complete -c image-builder -n "__fish_image_builder_using_subcommand test-module" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand doctor" -l json -d 'Print all findings as JSON'
complete -c image-builder -n "__fish_image_builder_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand completions" -s h -l help -d 'Print help'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "check" -d 'Check a spec or a module and show every mistake in it'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "build" -d 'Build a disk image'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "inspect" -d 'Show what a disk image holds and check its hashes'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "convert" -d 'Write a disk image in the format of a cloud or hypervisor'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "diff" -d 'Show what is different between two images'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "sbom" -d 'Print the bill of materials of an image as SPDX 2.3'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "secure-boot" -d 'Make keys for Secure Boot, and sign images with a key that is elsewhere'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "keygen" -d 'Make the keys that sign updates of an image'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "release" -d 'Write an image into a release folder, for machines to update from'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "sign" -d 'Sign a document of a release folder, also in two steps'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "sign-image" -d 'Sign a compressed disk image, for twinhull-install'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "promote" -d 'Make a release the newest one of a channel, or renew the channel'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "rotate-keys" -d 'Add, remove or renew keys that sign updates'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "verify-release" -d 'Check a release folder as a machine would, and every file in it'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "schema" -d 'Print the JSON Schema of specs, for editors'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "modules" -d 'List the modules that come with image-builder, and their templates'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "explain" -d 'Say what a module, template or parameter means'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "search" -d 'Find templates and parameters by what they are for'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "render" -d 'Print the files that the services of a spec become'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "why" -d 'Say which services a file of the image comes from'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "graph" -d 'Print services with what they refer to and what wants them'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "new-module" -d 'Make the folder of a module of your own'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "test-module" -d 'Run the cases in `tests/` of a module'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "doctor" -d 'Say what this host lacks for building and booting images, and what to do about it'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "completions" -d 'Print a shell completion script'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and not __fish_seen_subcommand_from check build inspect convert diff sbom secure-boot keygen release sign sign-image promote rotate-keys verify-release schema modules explain search render why graph new-module test-module doctor completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and __fish_seen_subcommand_from secure-boot" -f -a "keygen" -d 'Make new keys: PK, KEK and db, each with a certificate'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and __fish_seen_subcommand_from secure-boot" -f -a "enroll-files" -d 'Write what machines need to know the keys: signature lists (.esl), signed variables (.auth) and certificates (.der)'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and __fish_seen_subcommand_from secure-boot" -f -a "prepare" -d 'Write what is to be signed in an image, to sign it elsewhere'
complete -c image-builder -n "__fish_image_builder_using_subcommand help; and __fish_seen_subcommand_from secure-boot" -f -a "attach" -d 'Put signatures that were made elsewhere into an image'
