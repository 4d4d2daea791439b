# fish completion for kubectl-byocni, called by its own name: kubectl-byocni completion fish | source
# For `kubectl byocni <TAB>`: kubectl byocni completion install

function __kubectl_byocni
    set -l before (commandline -opc)
    set -l typed (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $before[1])
    set -e before[1]
    set -l flag (string match -r -- '^-[^=]*=' $typed)
    set -l directive 0
    set -l found
    for line in ($program __complete $before "$typed" 2>/dev/null)
        if string match -qr '^:[0-9]+$' -- $line
            set directive (string sub -s 2 -- $line)
        else if test -n "$line"
            set -a found "$flag$line"
        end
    end
    if set -q found[1]
        printf '%s\n' $found
    else if test (math "floor($directive / 16) % 2") -eq 1
        for folder in (__fish_complete_directories (string replace -r -- '^-[^=]*=' '' $typed))
            echo "$flag$folder"
        end
    else if test (math "floor($directive / 4) % 2") -eq 0
        for file in (__fish_complete_path (string replace -r -- '^-[^=]*=' '' $typed))
            echo "$flag$file"
        end
    end
end

complete -c kubectl-byocni -f -k -a '(__kubectl_byocni)'
