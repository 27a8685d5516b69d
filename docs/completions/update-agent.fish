# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_update_agent_global_optspecs
    string join \n config= machine-config= state= disk= esp= root= json h/help V/version
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
complete -c update-agent -n "__fish_update_agent_needs_command" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_needs_command" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_needs_command" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_needs_command" -s V -l version -d 'Print version'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "status" -d 'Show slots, boot entries, the last check, and what the service is doing'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "check" -d 'Look for a newer version, without changing anything'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "fetch" -d 'Fetch a newer version into the other slot, and make nothing boot it'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "apply" -d 'Install a newer version into the other slot; the machine boots it next'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "update" -d 'Install a newer version into the other slot; the machine boots it next'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "reboot" -d 'Reboot into what is installed: now instead of in the next window, once nobody is logged in, no program inhibits it and the lock server agrees'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "rollback" -d 'Go back to the version in the other slot with the next reboot, and never install the running one again'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "hold" -d 'Don\'t install a version, or any'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "release" -d 'Undo `hold`; a version that was given up gets new tries'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "history" -d 'Show what happened'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "service" -d 'Look for newer versions and install them until somebody ends it; twinhull-update.service runs this'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "next-root" -d 'Make the root of a version for a soft-reboot, or take it away; twinhull-next-root@.service runs this'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "boot-failed" -d 'Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this'
complete -c update-agent -n "__fish_update_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l why -d 'Also why nothing happens'
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand status" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand check" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l now -d 'Before it is this machine\'s turn in a rollout'
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand fetch" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l now -d 'Before it is this machine\'s turn in a rollout'
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l reboot -d 'Then reboot as `update-agent reboot` does'
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand apply" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l now -d 'Before it is this machine\'s turn in a rollout'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l reboot -d 'Then reboot as `update-agent reboot` does'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand update" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l through -d 'What it goes through [default: what the image says]' -r -f -a "firmware\t'The machine\'s firmware, as when it is switched on'
kexec\t'From kernel to kernel; through the firmware where that can\'t be'
soft-reboot\t'With the kernel that runs, if the new version has the same one; or else as `kexec`'"
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l force -d 'Whoever is logged in, whatever inhibits it, whatever a lock server says'
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand reboot" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l reboot -d 'Reboot at once'
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand rollback" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand hold" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand release" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand history" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l runtime -d 'Where metrics go' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand service" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand next-root" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l config -d 'What to follow' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l machine-config -d 'What is different on this machine' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l state -d 'What is remembered' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l disk -d 'The disk with the slots [default: the one the running slot is on]' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l esp -d 'Where the ESP is mounted' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l root -d 'The machine\'s root, for tests' -r -F
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -l json -d 'Print the result as JSON on standard output'
complete -c update-agent -n "__fish_update_agent_using_subcommand boot-failed" -s h -l help -d 'Print help'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "status" -d 'Show slots, boot entries, the last check, and what the service is doing'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "check" -d 'Look for a newer version, without changing anything'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "fetch" -d 'Fetch a newer version into the other slot, and make nothing boot it'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "apply" -d 'Install a newer version into the other slot; the machine boots it next'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "reboot" -d 'Reboot into what is installed: now instead of in the next window, once nobody is logged in, no program inhibits it and the lock server agrees'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "rollback" -d 'Go back to the version in the other slot with the next reboot, and never install the running one again'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "hold" -d 'Don\'t install a version, or any'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "release" -d 'Undo `hold`; a version that was given up gets new tries'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "history" -d 'Show what happened'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "service" -d 'Look for newer versions and install them until somebody ends it; twinhull-update.service runs this'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "next-root" -d 'Make the root of a version for a soft-reboot, or take it away; twinhull-next-root@.service runs this'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "boot-failed" -d 'Remember which units have failed, and reboot if there is a version to go back to; twinhull-boot-failed.service runs this'
complete -c update-agent -n "__fish_update_agent_using_subcommand help; and not __fish_seen_subcommand_from status check fetch apply reboot rollback hold release history service next-root boot-failed help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
