#compdef update-agent

autoload -U is-at-least

_update-agent() {
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
'--config=[What to follow]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
'-V[Print version]' \
'--version[Print version]' \
":: :_update-agent_commands" \
"*::: :->update-agent" \
&& ret=0
    case $state in
    (update-agent)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:update-agent-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(update)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--now[Before it is this machine'\''s turn in a rollout]' \
'--reboot[Then reboot as the image says\: at once unless somebody is logged in or a program inhibits it, or not at all]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(boot-failed)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(help)
_arguments "${_arguments_options[@]}" : \
":: :_update-agent__subcmd__help_commands" \
"*::: :->help" \
&& ret=0

    case $state in
    (help)
        words=($line[1] "${words[@]}")
        (( CURRENT += 1 ))
        curcontext="${curcontext%:*:*}:update-agent-help-command-$line[1]:"
        case $line[1] in
            (check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(update)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(boot-failed)
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

(( $+functions[_update-agent_commands] )) ||
_update-agent_commands() {
    local commands; commands=(
'check:Look for a newer version, without changing anything' \
'update:Write a newer version into the other slot; the machine boots it next' \
'status:Show slots, boot entries and the last check' \
'boot-failed:Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'update-agent commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__boot-failed_commands] )) ||
_update-agent__subcmd__boot-failed_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent boot-failed commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__check_commands] )) ||
_update-agent__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent check commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help_commands] )) ||
_update-agent__subcmd__help_commands() {
    local commands; commands=(
'check:Look for a newer version, without changing anything' \
'update:Write a newer version into the other slot; the machine boots it next' \
'status:Show slots, boot entries and the last check' \
'boot-failed:Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'update-agent help commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__boot-failed_commands] )) ||
_update-agent__subcmd__help__subcmd__boot-failed_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help boot-failed commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__check_commands] )) ||
_update-agent__subcmd__help__subcmd__check_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help check commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__help_commands] )) ||
_update-agent__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help help commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__status_commands] )) ||
_update-agent__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help status commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__update_commands] )) ||
_update-agent__subcmd__help__subcmd__update_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help update commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__status_commands] )) ||
_update-agent__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent status commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__update_commands] )) ||
_update-agent__subcmd__update_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent update commands' commands "$@"
}

if [ "$funcstack[1]" = "_update-agent" ]; then
    _update-agent "$@"
else
    compdef _update-agent update-agent
fi
