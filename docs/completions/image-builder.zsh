#compdef image-builder

autoload -U is-at-least

_image-builder() {
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
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_image-builder_commands" \
"*::: :->image-builder" \
&& ret=0
    case $state in
    (image-builder)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:image-builder-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
':spec -- The spec file, or the folder of a module:_files' \
&& ret=0
;;
(build)
_arguments "${_arguments_options[@]}" : \
'--out=[Folder for NAME_VERSION.raw, .manifest.json and .spdx.json; made if missing]:DIR:_files' \
'--cache-dir=[Where trees are cached]:DIR:_files' \
'--cache-limit=[Most room that packed file data may take in the cache, for faster builds; 0 keeps none]:SIZE:_default' \
'--guest-dir=[Folder with Twinhull'\''s own programs for the image \[default\: beside image-builder\]]:DIR:_files' \
'*--format=[Also write the image in this format, beside it; can be given several times]:FORMAT:((qcow2\:"QEMU, Proxmox, OpenStack"
vmdk\:"VMware ESXi and vSphere, import to AWS"
vhd\:"Azure\: a fixed VHD of whole MiB"
gcp\:"Google Cloud\: disk.raw of whole GiB in a tar.gz"
raw.zst\:"the raw disk, compressed, for download"
bmap\:"block map beside the raw disk, for bmaptool"))' \
'--offline[Forbid the network\: a tree that is not cached is an error]' \
'(--offline)--refresh[Fetch the tree again even if it is cached, for new package versions]' \
'--explain[Say what had to be made again, and what changed since the last build of the same image]' \
'--check-reproducible[Build a second time with other time zone, locale, umask, number of processors and an empty cache, and name the first file and field that differ]' \
'--json[Print the manifest as JSON on standard output instead of the paths of what was written]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':spec -- The spec file:_files' \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
'--svg=[Draw the sizes as a treemap, too]:FILE:_files' \
'--json[Print the result as JSON on standard output]' \
'--size[Show where the bytes of /usr went\: by folder, kind of file, package, and the largest files]' \
'-h[Print help]' \
'--help[Print help]' \
':image -- The disk image; with --size also a plain EROFS or ext4 image:_files' \
&& ret=0
;;
(convert)
_arguments "${_arguments_options[@]}" : \
'--format=[What to write]:FORMAT:((qcow2\:"QEMU, Proxmox, OpenStack"
vmdk\:"VMware ESXi and vSphere, import to AWS"
vhd\:"Azure\: a fixed VHD of whole MiB"
gcp\:"Google Cloud\: disk.raw of whole GiB in a tar.gz"
raw.zst\:"the raw disk, compressed, for download"
bmap\:"block map beside the raw disk, for bmaptool"))' \
'--out=[The file to write \[default\: beside the image, with the format'\''s extension\]]:FILE:_files' \
'--json[Print format, path and sizes as JSON on standard output instead of the path]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':image -- The raw disk image, as `build` wrote it:_files' \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
'--json[Print everything as JSON on standard output]' \
'(--json)--all[Show long lists whole]' \
'-h[Print help]' \
'--help[Print help]' \
':old -- The image to compare with:_files' \
':new -- The image that may be different:_files' \
&& ret=0
;;
(sbom)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':image -- The disk image, or a plain EROFS or ext4 image:_files' \
&& ret=0
;;
(secure-boot)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
":: :_image-builder__subcmd__secure-boot_commands" \
"*::: :->secure-boot" \
&& ret=0

    case $state in
    (secure-boot)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:image-builder-secure-boot-command-$line[1]:"
        case $line[1] in
            (keygen)
_arguments "${_arguments_options[@]}" : \
'--common-name=[Name in the certificates, before PK, KEK and db]:NAME:_default' \
'--bits=[Size of the RSA keys; some firmware knows 2048 only]:N:_default' \
'--days=[How long the certificates are valid from now on; firmware doesn'\''t look at it]:N:_default' \
'-h[Print help]' \
'--help[Print help]' \
':dir -- Folder for the keys; made if missing, never overwritten:_files' \
&& ret=0
;;
(enroll-files)
_arguments "${_arguments_options[@]}" : \
'--out=[Folder for the files; made if missing]:DIR:_files' \
'*--db=[Another certificate for db, such as Microsoft'\''s for option ROMs; can be given several times]:FILE:_files' \
'*--kek=[Another certificate for KEK; can be given several times]:FILE:_files' \
'--pk-key=[Private key of PK, a file or a PKCS #11 URI \[default\: PK.key in the folder\]]:KEY:_default' \
'--kek-key=[Private key of KEK, a file or a PKCS #11 URI \[default\: KEK.key in the folder\]]:KEY:_default' \
'-h[Print help]' \
'--help[Print help]' \
':keys -- Folder with PK.crt, KEK.crt, db.crt, and the keys PK.key and KEK.key:_files' \
&& ret=0
;;
(prepare)
_arguments "${_arguments_options[@]}" : \
'--certificate=[Certificate of the key that will sign, PEM or DER]:FILE:_files' \
'--out=[Folder for what is to be signed; it must not have files yet]:DIR:_files' \
'-h[Print help]' \
'--help[Print help]' \
':image -- The disk image, as `build` wrote it:_files' \
&& ret=0
;;
(attach)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':image -- The disk image that was prepared:_files' \
':dir -- The folder that `prepare` wrote, with the signatures in it:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_image-builder__subcmd__secure-boot__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:image-builder-secure-boot-help-command-$line[1]:"
        case $line[1] in
            (keygen)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(enroll-files)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prepare)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(attach)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
;;
(keygen)
_arguments "${_arguments_options[@]}" : \
'--image=[The image they are for, its image.id]:ID:_default' \
'*--keys=[How many keys a role gets; can be given several times \[default\: 1 each\]]:ROLE=N:_default' \
'*--threshold=[How many keys of a role must sign; can be given several times \[default\: 1 each\]]:ROLE=N:_default' \
'--expires=[How long machines believe it; \`rotate-keys\` renews it]:TIME:_default' \
'-h[Print help]' \
'--help[Print help]' \
':dir -- Folder for the keys; made if missing, must be empty:_files' \
&& ret=0
;;
(release)
_arguments "${_arguments_options[@]}" : \
'--to=[Folder with one folder an image; made if missing]:BASE:_files' \
'--root=[The first root, 1.root.json of \`keygen\`\: needed once]:FILE:_files' \
'*--key=[Private key of the role release; can be given several times]:FILE:_files' \
'*--patches-from=[Make patches from this version; can be given several times \[default\: the newest of every channel\]]:VERSION:_default' \
'(--patches-from)--no-patches[Make no patches]' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':image -- The disk image, as `build` wrote it:_files' \
&& ret=0
;;
(sign)
_arguments "${_arguments_options[@]}" : \
'*--key=[Private key to sign with; can be given several times]:FILE:_files' \
'(--key --attach)--prepare=[Write what is to be signed into this file]:OUT:_files' \
'--attach=[A signature that was made elsewhere\: 64 bytes]:SIG:_files' \
'--public=[Public key of that signature]:FILE:_files' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':document -- The document, in its release folder:_files' \
&& ret=0
;;
(sign-image)
_arguments "${_arguments_options[@]}" : \
'*--key=[Private key to sign with; can be given several times]:FILE:_files' \
'--id=[The image'\''s name \[default\: from the manifest beside it\]]:ID:_default' \
'--image-version=[The image'\''s version \[default\: from the manifest beside it\]]:VERSION:_default' \
'--arch=[For which processor, x86-64 or arm64 \[default\: from the manifest beside it\]]:ARCH:_default' \
'(--key --attach)--prepare=[Write what is to be signed into this file]:OUT:_files' \
'--attach=[A signature that was made elsewhere\: 64 bytes]:SIG:_files' \
'--public=[Public key of that signature]:FILE:_files' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':image -- The compressed disk image, as `convert --format raw.zst` wrote it:_files' \
&& ret=0
;;
(promote)
_arguments "${_arguments_options[@]}" : \
'--channel=[The channel]:CHANNEL:_default' \
'*--key=[Private key of the role channel; can be given several times]:FILE:_files' \
'--expires=[How long machines believe it]:TIME:_default' \
'--rollout=[Spread the machines'\'' updates over this time]:TIME:_default' \
'--start=[When the rollout begins, such as 2026-12-01T06\:00Z \[default\: now\]]:TIME:_default' \
'--floor=[Oldest version that may ever be offered from now on \[default\: as it is\]]:VERSION:_default' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':folder -- The release folder, BASE/IMAGE:_files' \
'::version -- The version that is to be the newest \[default\: as it is\]:_default' \
&& ret=0
;;
(rotate-keys)
_arguments "${_arguments_options[@]}" : \
'*--add=[A key the role gets, as a file or 64 hexadecimal digits; can be given several times]:ROLE=PUBLIC:_default' \
'*--remove=[A key the role loses; can be given several times]:ROLE=PUBLIC:_default' \
'*--threshold=[How many keys of a role must sign; can be given several times]:ROLE=N:_default' \
'--expires=[How long machines believe it]:TIME:_default' \
'*--key=[Private key to sign with; can be given several times]:FILE:_files' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':folder -- The release folder, BASE/IMAGE:_files' \
&& ret=0
;;
(verify-release)
_arguments "${_arguments_options[@]}" : \
'--channel=[The channel]:CHANNEL:_default' \
'--root=[The root that machines have in their image \[default\: the folder'\''s 1.root.json, unchecked\]]:FILE:_files' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':folder -- The release folder, BASE/IMAGE:_files' \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(modules)
_arguments "${_arguments_options[@]}" : \
'--json[Print them with all parameters as JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':name -- MODULE, MODULE.TEMPLATE or MODULE.TEMPLATE.PARAMETER; or the folder of a module:_default' \
&& ret=0
;;
(search)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
'*::words -- Words that must all occur in a name or in what it means:_default' \
&& ret=0
;;
(render)
_arguments "${_arguments_options[@]}" : \
'--json[Print files, ports, needed commands and what targets want as JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':spec -- The spec file:_files' \
'::path -- Only this file, as it would be in the image:_default' \
&& ret=0
;;
(why)
_arguments "${_arguments_options[@]}" : \
'--json[Print the services and where they come from as JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':spec -- The spec file:_files' \
':path -- A file of the image:_default' \
&& ret=0
;;
(graph)
_arguments "${_arguments_options[@]}" : \
'--dot[Print it for Graphviz]' \
'(--dot)--svg[Print a drawing]' \
'-h[Print help]' \
'--help[Print help]' \
':spec -- The spec file:_files' \
&& ret=0
;;
(new-module)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':folder -- The folder to make:_files' \
&& ret=0
;;
(test-module)
_arguments "${_arguments_options[@]}" : \
'--json[Print the result of each case as JSON]' \
'-h[Print help]' \
'--help[Print help]' \
':folder -- The folder of the module:_files' \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
'--json[Print all findings as JSON]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':shell -- The shell to write it for:(bash elvish fish powershell zsh)' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_image-builder__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:image-builder-help-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(build)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(inspect)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(convert)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(diff)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(sbom)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(secure-boot)
_arguments "${_arguments_options[@]}" : \
":: :_image-builder__subcmd__help__subcmd__secure-boot_commands" \
"*::: :->secure-boot" \
&& ret=0

    case $state in
    (secure-boot)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:image-builder-help-secure-boot-command-$line[1]:"
        case $line[1] in
            (keygen)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(enroll-files)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(prepare)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(attach)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
(keygen)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(release)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(sign)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(sign-image)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(promote)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(rotate-keys)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(verify-release)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(schema)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(modules)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(search)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(render)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(why)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(graph)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(new-module)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(test-module)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(doctor)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(completions)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
        esac
    ;;
esac
;;
        esac
    ;;
esac
}

(( $+functions[_image-builder_commands] )) ||
_image-builder_commands() {
    local commands; commands=(
'check:Check a spec or a module and show every mistake in it' \
'build:Build a disk image' \
'inspect:Show what a disk image holds and check its hashes' \
'convert:Write a disk image in the format of a cloud or hypervisor' \
'diff:Show what is different between two images' \
'sbom:Print the bill of materials of an image as SPDX 2.3' \
'secure-boot:Make keys for Secure Boot, and sign images with a key that is elsewhere' \
'keygen:Make the keys that sign updates of an image' \
'release:Write an image into a release folder, for machines to update from' \
'sign:Sign a document of a release folder, also in two steps' \
'sign-image:Sign a compressed disk image, for twinhull-install' \
'promote:Make a release the newest one of a channel, or renew the channel' \
'rotate-keys:Add, remove or renew keys that sign updates' \
'verify-release:Check a release folder as a machine would, and every file in it' \
'schema:Print the JSON Schema of specs, for editors' \
'modules:List the modules that come with image-builder, and their templates' \
'explain:Say what a module, template or parameter means' \
'search:Find templates and parameters by what they are for' \
'render:Print the files that the services of a spec become' \
'why:Say which services a file of the image comes from' \
'graph:Print services with what they refer to and what wants them' \
'new-module:Make the folder of a module of your own' \
'test-module:Run the cases in \`tests/\` of a module' \
'doctor:Say what this host lacks for building and booting images, and what to do about it' \
'completions:Print a shell completion script' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'image-builder commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__build_commands] )) ||
_image-builder__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder build commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__check_commands] )) ||
_image-builder__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder check commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__completions_commands] )) ||
_image-builder__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder completions commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__convert_commands] )) ||
_image-builder__subcmd__convert_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder convert commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__diff_commands] )) ||
_image-builder__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder diff commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__doctor_commands] )) ||
_image-builder__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder doctor commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__explain_commands] )) ||
_image-builder__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder explain commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__graph_commands] )) ||
_image-builder__subcmd__graph_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder graph commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help_commands] )) ||
_image-builder__subcmd__help_commands() {
    local commands; commands=(
'check:Check a spec or a module and show every mistake in it' \
'build:Build a disk image' \
'inspect:Show what a disk image holds and check its hashes' \
'convert:Write a disk image in the format of a cloud or hypervisor' \
'diff:Show what is different between two images' \
'sbom:Print the bill of materials of an image as SPDX 2.3' \
'secure-boot:Make keys for Secure Boot, and sign images with a key that is elsewhere' \
'keygen:Make the keys that sign updates of an image' \
'release:Write an image into a release folder, for machines to update from' \
'sign:Sign a document of a release folder, also in two steps' \
'sign-image:Sign a compressed disk image, for twinhull-install' \
'promote:Make a release the newest one of a channel, or renew the channel' \
'rotate-keys:Add, remove or renew keys that sign updates' \
'verify-release:Check a release folder as a machine would, and every file in it' \
'schema:Print the JSON Schema of specs, for editors' \
'modules:List the modules that come with image-builder, and their templates' \
'explain:Say what a module, template or parameter means' \
'search:Find templates and parameters by what they are for' \
'render:Print the files that the services of a spec become' \
'why:Say which services a file of the image comes from' \
'graph:Print services with what they refer to and what wants them' \
'new-module:Make the folder of a module of your own' \
'test-module:Run the cases in \`tests/\` of a module' \
'doctor:Say what this host lacks for building and booting images, and what to do about it' \
'completions:Print a shell completion script' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'image-builder help commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__build_commands] )) ||
_image-builder__subcmd__help__subcmd__build_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help build commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__check_commands] )) ||
_image-builder__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help check commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__completions_commands] )) ||
_image-builder__subcmd__help__subcmd__completions_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help completions commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__convert_commands] )) ||
_image-builder__subcmd__help__subcmd__convert_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help convert commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__diff_commands] )) ||
_image-builder__subcmd__help__subcmd__diff_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help diff commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__doctor_commands] )) ||
_image-builder__subcmd__help__subcmd__doctor_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help doctor commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__explain_commands] )) ||
_image-builder__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help explain commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__graph_commands] )) ||
_image-builder__subcmd__help__subcmd__graph_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help graph commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__help_commands] )) ||
_image-builder__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help help commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__inspect_commands] )) ||
_image-builder__subcmd__help__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help inspect commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__keygen_commands] )) ||
_image-builder__subcmd__help__subcmd__keygen_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help keygen commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__modules_commands] )) ||
_image-builder__subcmd__help__subcmd__modules_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help modules commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__new-module_commands] )) ||
_image-builder__subcmd__help__subcmd__new-module_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help new-module commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__promote_commands] )) ||
_image-builder__subcmd__help__subcmd__promote_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help promote commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__release_commands] )) ||
_image-builder__subcmd__help__subcmd__release_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help release commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__render_commands] )) ||
_image-builder__subcmd__help__subcmd__render_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help render commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__rotate-keys_commands] )) ||
_image-builder__subcmd__help__subcmd__rotate-keys_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help rotate-keys commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__sbom_commands] )) ||
_image-builder__subcmd__help__subcmd__sbom_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help sbom commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__schema_commands] )) ||
_image-builder__subcmd__help__subcmd__schema_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help schema commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__search_commands] )) ||
_image-builder__subcmd__help__subcmd__search_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help search commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__secure-boot_commands] )) ||
_image-builder__subcmd__help__subcmd__secure-boot_commands() {
    local commands; commands=(
'keygen:Make new keys\: PK, KEK and db, each with a certificate' \
'enroll-files:Write what machines need to know the keys\: signature lists (.esl), signed variables (.auth) and certificates (.der)' \
'prepare:Write what is to be signed in an image, to sign it elsewhere' \
'attach:Put signatures that were made elsewhere into an image' \
    )
    _describe -t commands 'image-builder help secure-boot commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__secure-boot__subcmd__attach_commands] )) ||
_image-builder__subcmd__help__subcmd__secure-boot__subcmd__attach_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help secure-boot attach commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__secure-boot__subcmd__enroll-files_commands] )) ||
_image-builder__subcmd__help__subcmd__secure-boot__subcmd__enroll-files_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help secure-boot enroll-files commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__secure-boot__subcmd__keygen_commands] )) ||
_image-builder__subcmd__help__subcmd__secure-boot__subcmd__keygen_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help secure-boot keygen commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__secure-boot__subcmd__prepare_commands] )) ||
_image-builder__subcmd__help__subcmd__secure-boot__subcmd__prepare_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help secure-boot prepare commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__sign_commands] )) ||
_image-builder__subcmd__help__subcmd__sign_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help sign commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__sign-image_commands] )) ||
_image-builder__subcmd__help__subcmd__sign-image_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help sign-image commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__test-module_commands] )) ||
_image-builder__subcmd__help__subcmd__test-module_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help test-module commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__verify-release_commands] )) ||
_image-builder__subcmd__help__subcmd__verify-release_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help verify-release commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__help__subcmd__why_commands] )) ||
_image-builder__subcmd__help__subcmd__why_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder help why commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__inspect_commands] )) ||
_image-builder__subcmd__inspect_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder inspect commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__keygen_commands] )) ||
_image-builder__subcmd__keygen_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder keygen commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__modules_commands] )) ||
_image-builder__subcmd__modules_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder modules commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__new-module_commands] )) ||
_image-builder__subcmd__new-module_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder new-module commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__promote_commands] )) ||
_image-builder__subcmd__promote_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder promote commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__release_commands] )) ||
_image-builder__subcmd__release_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder release commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__render_commands] )) ||
_image-builder__subcmd__render_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder render commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__rotate-keys_commands] )) ||
_image-builder__subcmd__rotate-keys_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder rotate-keys commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__sbom_commands] )) ||
_image-builder__subcmd__sbom_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder sbom commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__schema_commands] )) ||
_image-builder__subcmd__schema_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder schema commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__search_commands] )) ||
_image-builder__subcmd__search_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder search commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot_commands] )) ||
_image-builder__subcmd__secure-boot_commands() {
    local commands; commands=(
'keygen:Make new keys\: PK, KEK and db, each with a certificate' \
'enroll-files:Write what machines need to know the keys\: signature lists (.esl), signed variables (.auth) and certificates (.der)' \
'prepare:Write what is to be signed in an image, to sign it elsewhere' \
'attach:Put signatures that were made elsewhere into an image' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'image-builder secure-boot commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__attach_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__attach_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot attach commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__enroll-files_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__enroll-files_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot enroll-files commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help_commands() {
    local commands; commands=(
'keygen:Make new keys\: PK, KEK and db, each with a certificate' \
'enroll-files:Write what machines need to know the keys\: signature lists (.esl), signed variables (.auth) and certificates (.der)' \
'prepare:Write what is to be signed in an image, to sign it elsewhere' \
'attach:Put signatures that were made elsewhere into an image' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'image-builder secure-boot help commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help__subcmd__attach_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help__subcmd__attach_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot help attach commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help__subcmd__enroll-files_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help__subcmd__enroll-files_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot help enroll-files commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help__subcmd__help_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot help help commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help__subcmd__keygen_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help__subcmd__keygen_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot help keygen commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__help__subcmd__prepare_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__help__subcmd__prepare_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot help prepare commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__keygen_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__keygen_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot keygen commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__secure-boot__subcmd__prepare_commands] )) ||
_image-builder__subcmd__secure-boot__subcmd__prepare_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder secure-boot prepare commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__sign_commands] )) ||
_image-builder__subcmd__sign_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder sign commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__sign-image_commands] )) ||
_image-builder__subcmd__sign-image_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder sign-image commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__test-module_commands] )) ||
_image-builder__subcmd__test-module_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder test-module commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__verify-release_commands] )) ||
_image-builder__subcmd__verify-release_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder verify-release commands' commands "$@"
}
(( $+functions[_image-builder__subcmd__why_commands] )) ||
_image-builder__subcmd__why_commands() {
    local commands; commands=()
    _describe -t commands 'image-builder why commands' commands "$@"
}

if [ "$funcstack[1]" = "_image-builder" ]; then
    _image-builder "$@"
else
    compdef _image-builder image-builder
fi
