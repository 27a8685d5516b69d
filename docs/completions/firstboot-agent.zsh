#compdef firstboot-agent

autoload -U is-at-least

_firstboot-agent() {
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
":: :_firstboot-agent_commands" \
"*::: :->firstboot-agent" \
&& ret=0
    case $state in
    (firstboot-agent)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:firstboot-agent-command-$line[1]:"
        case $line[1] in
            (initrd)
_arguments "${_arguments_options[@]}" : \
'--root=[The machine'\''s root]:ROOT:_files' \
'--host=[Root of /proc, /sys, /dev and /run]:HOST:_files' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--root=[The machine'\''s root]:ROOT:_files' \
'--json[Print JSON\: \`boot\` is this boot'\''s outcome, \`machine\` what is stored; each may be null]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(check-in)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(provisioned)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(validate)
_arguments "${_arguments_options[@]}" : \
'-h[Print help]' \
'--help[Print help]' \
':file -- The file; `-` is standard input:_files' \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
'--json[Print JSON]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The file; `-` is standard input:_files' \
&& ret=0
;;
(network)
_arguments "${_arguments_options[@]}" : \
'--source=[Whose document it is]:SOURCE:((azure\:"The document at /metadata/instance"
digitalocean\:"The document at /metadata/v1.json"
gcp\:"The list at /computeMetadata/v1/instance/network-interfaces/?recursive=true"
hetzner\:"The document at /hetzner/v1/metadata"
nocloud\:"A network-config"
openstack\:"A network_data.json"
oracle\:"The list at /opc/v2/vnics/"
vultr\:"The document at /v1.json"))' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
':file -- The document:_files' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_firstboot-agent__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:firstboot-agent-help-command-$line[1]:"
        case $line[1] in
            (initrd)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check-in)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(provisioned)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(validate)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(explain)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(network)
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

(( $+functions[_firstboot-agent_commands] )) ||
_firstboot-agent_commands() {
    local commands; commands=(
'initrd:Find out who this machine is and prepare its root; twinhull-firstboot.service runs this' \
'status:Say what became of provisioning on this boot, and what this machine was told at its last successful fetch' \
'check-in:Tell whoever wants to know that this machine is up; twinhull-check-in.service runs this' \
'provisioned:Fail unless this boot is provisioned; twinhull-provisioned.service runs this' \
'validate:Check user data in any format; exit with 2 when something is wrong or refused' \
'explain:Say what user data would do\: how they were recognised, what becomes of each thing, what is refused and why' \
'network:Print the networkd units that come of a platform'\''s description' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'firstboot-agent commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__check-in_commands] )) ||
_firstboot-agent__subcmd__check-in_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent check-in commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__explain_commands] )) ||
_firstboot-agent__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent explain commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help_commands] )) ||
_firstboot-agent__subcmd__help_commands() {
    local commands; commands=(
'initrd:Find out who this machine is and prepare its root; twinhull-firstboot.service runs this' \
'status:Say what became of provisioning on this boot, and what this machine was told at its last successful fetch' \
'check-in:Tell whoever wants to know that this machine is up; twinhull-check-in.service runs this' \
'provisioned:Fail unless this boot is provisioned; twinhull-provisioned.service runs this' \
'validate:Check user data in any format; exit with 2 when something is wrong or refused' \
'explain:Say what user data would do\: how they were recognised, what becomes of each thing, what is refused and why' \
'network:Print the networkd units that come of a platform'\''s description' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'firstboot-agent help commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__check-in_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__check-in_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help check-in commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__explain_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__explain_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help explain commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__help_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help help commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__initrd_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__initrd_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help initrd commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__network_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__network_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help network commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__provisioned_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__provisioned_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help provisioned commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__status_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help status commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__help__subcmd__validate_commands] )) ||
_firstboot-agent__subcmd__help__subcmd__validate_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent help validate commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__initrd_commands] )) ||
_firstboot-agent__subcmd__initrd_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent initrd commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__network_commands] )) ||
_firstboot-agent__subcmd__network_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent network commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__provisioned_commands] )) ||
_firstboot-agent__subcmd__provisioned_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent provisioned commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__status_commands] )) ||
_firstboot-agent__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent status commands' commands "$@"
}
(( $+functions[_firstboot-agent__subcmd__validate_commands] )) ||
_firstboot-agent__subcmd__validate_commands() {
    local commands; commands=()
    _describe -t commands 'firstboot-agent validate commands' commands "$@"
}

if [ "$funcstack[1]" = "_firstboot-agent" ]; then
    _firstboot-agent "$@"
else
    compdef _firstboot-agent firstboot-agent
fi
