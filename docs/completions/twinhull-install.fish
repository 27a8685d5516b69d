# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_twinhull_install_global_optspecs
    string join \n h/help V/version
end

function __fish_twinhull_install_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_twinhull_install_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_twinhull_install_using_subcommand
    set -l cmd (__fish_twinhull_install_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c twinhull-install -n "__fish_twinhull_install_needs_command" -s h -l help -d 'Print help'
complete -c twinhull-install -n "__fish_twinhull_install_needs_command" -s V -l version -d 'Print version'
complete -c twinhull-install -n "__fish_twinhull_install_needs_command" -f -a "write" -d 'Write an image to a disk, which is overwritten'
complete -c twinhull-install -n "__fish_twinhull_install_needs_command" -f -a "takeover" -d 'Turn this running machine into one of an image, whose disk is overwritten'
complete -c twinhull-install -n "__fish_twinhull_install_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -l key -d 'Public key that must have signed the image: a file, or 64 hexadecimal digits; can be given several times, then all must' -r
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -l signature -d 'The signed document, a file or a URL [default: SOURCE.json]' -r
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -l unsigned -d 'Believe whoever it comes from: no signature, only checksums'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -l yes -d 'Don\'t ask before the disk is overwritten'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -l json -d 'Print the result as JSON on standard output'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -s q -l quiet -d 'Only show errors'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand write" -s h -l help -d 'Print help'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l key -d 'Public key that must have signed the image: a file, or 64 hexadecimal digits; can be given several times, then all must' -r
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l signature -d 'The signed document, a file or a URL [default: SOURCE.json]' -r
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l unsigned -d 'Believe whoever it comes from: no signature, only checksums'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l yes -d 'Don\'t ask before this system is given up'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l dry-run -d 'Only say what would be done'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -l without-keys -d 'Go on though no SSH key was found'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -s q -l quiet -d 'Only show errors'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand takeover" -s h -l help -d 'Print help'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand help; and not __fish_seen_subcommand_from write takeover help" -f -a "write" -d 'Write an image to a disk, which is overwritten'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand help; and not __fish_seen_subcommand_from write takeover help" -f -a "takeover" -d 'Turn this running machine into one of an image, whose disk is overwritten'
complete -c twinhull-install -n "__fish_twinhull_install_using_subcommand help; and not __fish_seen_subcommand_from write takeover help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
