#compdef twinhull-install

autoload -U is-at-least

_twinhull-install() {
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
":: :_twinhull-install_commands" \
"*::: :->twinhull-install" \
&& ret=0
    case $state in
    (twinhull-install)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:twinhull-install-command-$line[1]:"
        case $line[1] in
            (write)
_arguments "${_arguments_options[@]}" : \
'*--key=[Public key that must have signed the image\: a file, or 64 hexadecimal digits; can be given several times, then all must]:PUBLIC:_default' \
'--signature=[The signed document, a file or a URL \[default\: SOURCE.json\]]:FILE|URL:_default' \
'(--key --signature)--unsigned[Believe whoever it comes from\: no signature, only checksums]' \
'--yes[Don'\''t ask before the disk is overwritten]' \
'--json[Print the result as JSON on standard output]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':source -- The image\: an http or https URL, a file, or - for standard input:_default' \
':disk -- The disk, such as /dev/sda; also a file that is at least as large as the image:_files' \
&& ret=0
;;
(takeover)
_arguments "${_arguments_options[@]}" : \
'*--key=[Public key that must have signed the image\: a file, or 64 hexadecimal digits; can be given several times, then all must]:PUBLIC:_default' \
'--signature=[The signed document, a file or a URL \[default\: SOURCE.json\]]:FILE|URL:_default' \
'(--key --signature)--unsigned[Believe whoever it comes from\: no signature, only checksums]' \
'--yes[Don'\''t ask before this system is given up]' \
'--dry-run[Only say what would be done]' \
'--without-keys[Go on though no SSH key was found]' \
'-q[Only show errors]' \
'--quiet[Only show errors]' \
'-h[Print help]' \
'--help[Print help]' \
':source -- The image\: an http or https URL, a file, or - for standard input:_default' \
'::disk -- The disk, such as /dev/sda \[default\: the one that the running system is on\]:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_twinhull-install__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:twinhull-install-help-command-$line[1]:"
        case $line[1] in
            (write)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(takeover)
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

(( $+functions[_twinhull-install_commands] )) ||
_twinhull-install_commands() {
    local commands; commands=(
'write:Write an image to a disk, which is overwritten' \
'takeover:Turn this running machine into one of an image, whose disk is overwritten' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'twinhull-install commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__help_commands] )) ||
_twinhull-install__subcmd__help_commands() {
    local commands; commands=(
'write:Write an image to a disk, which is overwritten' \
'takeover:Turn this running machine into one of an image, whose disk is overwritten' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'twinhull-install help commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__help__subcmd__help_commands] )) ||
_twinhull-install__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'twinhull-install help help commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__help__subcmd__takeover_commands] )) ||
_twinhull-install__subcmd__help__subcmd__takeover_commands() {
    local commands; commands=()
    _describe -t commands 'twinhull-install help takeover commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__help__subcmd__write_commands] )) ||
_twinhull-install__subcmd__help__subcmd__write_commands() {
    local commands; commands=()
    _describe -t commands 'twinhull-install help write commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__takeover_commands] )) ||
_twinhull-install__subcmd__takeover_commands() {
    local commands; commands=()
    _describe -t commands 'twinhull-install takeover commands' commands "$@"
}
(( $+functions[_twinhull-install__subcmd__write_commands] )) ||
_twinhull-install__subcmd__write_commands() {
    local commands; commands=()
    _describe -t commands 'twinhull-install write commands' commands "$@"
}

if [ "$funcstack[1]" = "_twinhull-install" ]; then
    _twinhull-install "$@"
else
    compdef _twinhull-install twinhull-install
fi
