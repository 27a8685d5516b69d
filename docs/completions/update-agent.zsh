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
'--machine-config=[What is different on this machine]:FILE:_files' \
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
            (status)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--why[Also why nothing happens]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(fetch)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--now[Before it is this machine'\''s turn in a rollout]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--now[Before it is this machine'\''s turn in a rollout]' \
'--reboot[Then reboot as \`update-agent reboot\` does]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(update)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--now[Before it is this machine'\''s turn in a rollout]' \
'--reboot[Then reboot as \`update-agent reboot\` does]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(reboot)
_arguments "${_arguments_options[@]}" : \
'--through=[What it goes through \[default\: what the image says\]]:WAY:((firmware\:"The machine'\''s firmware, as when it is switched on"
kexec\:"From kernel to kernel; through the firmware where that can'\''t be"
soft-reboot\:"With the kernel that runs, if the new version has the same one; or else as \`kexec\`"))' \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--force[Whoever is logged in, whatever inhibits it, whatever a lock server says]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help (see more with '\''--help'\'')]' \
'--help[Print help (see more with '\''--help'\'')]' \
&& ret=0
;;
(rollback)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--reboot[Reboot at once]' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(hold)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
'::version -- The version; all without one:_default' \
&& ret=0
;;
(release)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
'::version -- The version; what was held without one:_default' \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(service)
_arguments "${_arguments_options[@]}" : \
'--runtime=[Where metrics go]:DIR:_files' \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
&& ret=0
;;
(next-root)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
'--state=[What is remembered]:DIR:_files' \
'--disk=[The disk with the slots \[default\: the one the running slot is on\]]:DISK:_files' \
'--esp=[Where the ESP is mounted]:DIR:_files' \
'--root=[The machine'\''s root, for tests]:DIR:_files' \
'--json[Print the result as JSON on standard output]' \
'-h[Print help]' \
'--help[Print help]' \
'::entry -- The version'\''s boot entry; without one, there is to be no such root:_default' \
&& ret=0
;;
(boot-failed)
_arguments "${_arguments_options[@]}" : \
'--config=[What to follow]:FILE:_files' \
'--machine-config=[What is different on this machine]:FILE:_files' \
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
            (status)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(check)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(fetch)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(apply)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(reboot)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(rollback)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(hold)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(release)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(history)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(service)
_arguments "${_arguments_options[@]}" : \
&& ret=0
;;
(next-root)
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
'status:Show slots, boot entries, the last check, and what the service is doing' \
'check:Look for a newer version, without changing anything' \
'fetch:Fetch a newer version into the other slot, and make nothing boot it' \
'apply:Install a newer version into the other slot; the machine boots it next' \
'update:Install a newer version into the other slot; the machine boots it next' \
'reboot:Reboot into what is installed\: now instead of in the next window, once nobody is logged in, no program inhibits it and the lock server agrees' \
'rollback:Go back to the version in the other slot with the next reboot, and never install the running one again' \
'hold:Don'\''t install a version, or any' \
'release:Undo \`hold\`; a version that was given up gets new tries' \
'history:Show what happened' \
'service:Look for newer versions and install them until somebody ends it; twinhull-update.service runs this' \
'next-root:Make the root of a version for a soft-reboot, or take it away; twinhull-next-root@.service runs this' \
'boot-failed:Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'update-agent commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__apply_commands] )) ||
_update-agent__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent apply commands' commands "$@"
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
(( $+functions[_update-agent__subcmd__fetch_commands] )) ||
_update-agent__subcmd__fetch_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent fetch commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help_commands] )) ||
_update-agent__subcmd__help_commands() {
    local commands; commands=(
'status:Show slots, boot entries, the last check, and what the service is doing' \
'check:Look for a newer version, without changing anything' \
'fetch:Fetch a newer version into the other slot, and make nothing boot it' \
'apply:Install a newer version into the other slot; the machine boots it next' \
'reboot:Reboot into what is installed\: now instead of in the next window, once nobody is logged in, no program inhibits it and the lock server agrees' \
'rollback:Go back to the version in the other slot with the next reboot, and never install the running one again' \
'hold:Don'\''t install a version, or any' \
'release:Undo \`hold\`; a version that was given up gets new tries' \
'history:Show what happened' \
'service:Look for newer versions and install them until somebody ends it; twinhull-update.service runs this' \
'next-root:Make the root of a version for a soft-reboot, or take it away; twinhull-next-root@.service runs this' \
'boot-failed:Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this' \
'help:Print this message or the help of the given subcommand(s)' \
    )
    _describe -t commands 'update-agent help commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__apply_commands] )) ||
_update-agent__subcmd__help__subcmd__apply_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help apply commands' commands "$@"
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
(( $+functions[_update-agent__subcmd__help__subcmd__fetch_commands] )) ||
_update-agent__subcmd__help__subcmd__fetch_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help fetch commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__help_commands] )) ||
_update-agent__subcmd__help__subcmd__help_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help help commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__history_commands] )) ||
_update-agent__subcmd__help__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help history commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__hold_commands] )) ||
_update-agent__subcmd__help__subcmd__hold_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help hold commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__next-root_commands] )) ||
_update-agent__subcmd__help__subcmd__next-root_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help next-root commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__reboot_commands] )) ||
_update-agent__subcmd__help__subcmd__reboot_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help reboot commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__release_commands] )) ||
_update-agent__subcmd__help__subcmd__release_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help release commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__rollback_commands] )) ||
_update-agent__subcmd__help__subcmd__rollback_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help rollback commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__service_commands] )) ||
_update-agent__subcmd__help__subcmd__service_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help service commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__help__subcmd__status_commands] )) ||
_update-agent__subcmd__help__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent help status commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__history_commands] )) ||
_update-agent__subcmd__history_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent history commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__hold_commands] )) ||
_update-agent__subcmd__hold_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent hold commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__next-root_commands] )) ||
_update-agent__subcmd__next-root_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent next-root commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__reboot_commands] )) ||
_update-agent__subcmd__reboot_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent reboot commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__release_commands] )) ||
_update-agent__subcmd__release_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent release commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__rollback_commands] )) ||
_update-agent__subcmd__rollback_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent rollback commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__service_commands] )) ||
_update-agent__subcmd__service_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent service commands' commands "$@"
}
(( $+functions[_update-agent__subcmd__status_commands] )) ||
_update-agent__subcmd__status_commands() {
    local commands; commands=()
    _describe -t commands 'update-agent status commands' commands "$@"
}

if [ "$funcstack[1]" = "_update-agent" ]; then
    _update-agent "$@"
else
    compdef _update-agent update-agent
fi
