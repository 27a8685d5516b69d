# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_update_agent_global_optspecs
    string join \n config= state= disk= esp= root= json h/help V/version
end

function __fish_update_agent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_update_agent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_update_agent_using_subcommand
    set -l cmd (__fish_update_agent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c update-agent -n "__fish_update_agent_needs_command" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_needs_command" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_needs_command" -s V -l version -d 'Print version'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "check" -d 'Look for a newer version, without changing anything'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "update" -d 'Write a newer version into the other slot; the machine boots it next'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "status" -d 'Show slots, boot entries and the last check'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "boot-failed" -d 'Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l now -d 'Before it is this machine\'s turn in a rollout'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l reboot -d 'Then reboot as the image says: at once unless somebody is logged in or a program inhibits it, or not at all'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from check update status boot-failed help" -f -a "check" -d 'Look for a newer version, without changing anything'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from check update status boot-failed help" -f -a "update" -d 'Write a newer version into the other slot; the machine boots it next'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from check update status boot-failed help" -f -a "status" -d 'Show slots, boot entries and the last check'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from check update status boot-failed help" -f -a "boot-failed" -d 'Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from check update status boot-failed help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
