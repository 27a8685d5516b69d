# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_firstboot_agent_global_optspecs
    string join \n h/help V/version
end

function __fish_firstboot_agent_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_firstboot_agent_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_firstboot_agent_using_subcommand
    set -l cmd (__fish_firstboot_agent_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -s V -l version -d 'Print version'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "initrd" -d 'Find out who this machine is and prepare its root; twinhull-firstboot.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "status" -d 'Say what became of provisioning on this boot, and what this machine was told at its last successful fetch'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "check-in" -d 'Tell whoever wants to know that this machine is up; twinhull-check-in.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "provisioned" -d 'Fail unless this boot is provisioned; twinhull-provisioned.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "validate" -d 'Check user data in any format; exit with 2 when something is wrong or refused'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "explain" -d 'Say what user data would do: how they were recognised, what becomes of each thing, what is refused and why'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "network" -d 'Print the networkd units that come of a platform\'s description'
complete -c firstboot-agent -n "__fish_firstboot_agent_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand initrd" -l root -d 'The machine\'s root' -r -F
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand initrd" -l host -d 'Root of /proc, /sys, /dev and /run' -r -F
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand initrd" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand status" -l root -d 'The machine\'s root' -r -F
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand status" -l json -d 'Print JSON: `boot` is this boot\'s outcome, `machine` what is stored; each may be null'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand status" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand check-in" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand provisioned" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand validate" -s h -l help -d 'Print help'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand explain" -l json -d 'Print JSON'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand network" -l source -d 'Whose document it is' -r -f -a "azure\t'The document at /metadata/instance'
digitalocean\t'The document at /metadata/v1.json'
gcp\t'The list at /computeMetadata/v1/instance/network-interfaces/?recursive=true'
hetzner\t'The document at /hetzner/v1/metadata'
nocloud\t'A network-config'
openstack\t'A network_data.json'
oracle\t'The list at /opc/v2/vnics/'
vultr\t'The document at /v1.json'"
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand network" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "initrd" -d 'Find out who this machine is and prepare its root; twinhull-firstboot.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "status" -d 'Say what became of provisioning on this boot, and what this machine was told at its last successful fetch'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "check-in" -d 'Tell whoever wants to know that this machine is up; twinhull-check-in.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "provisioned" -d 'Fail unless this boot is provisioned; twinhull-provisioned.service runs this'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "validate" -d 'Check user data in any format; exit with 2 when something is wrong or refused'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "explain" -d 'Say what user data would do: how they were recognised, what becomes of each thing, what is refused and why'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "network" -d 'Print the networkd units that come of a platform\'s description'
complete -c firstboot-agent -n "__fish_firstboot_agent_using_subcommand help; and not __fish_seen_subcommand_from initrd status check-in provisioned validate explain network help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
