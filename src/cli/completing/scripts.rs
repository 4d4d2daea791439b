//! The scripts that make a shell ask us, for the plugin called by its own name; and the executable that kubectl runs.

use clap::ValueEnum;

/// A shell that there is a script for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash, from 3.2.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish, from 3.2.
    Fish,
    /// PowerShell, from 5.1.
    Powershell,
}

impl Shell {
    /// Its script.
    pub fn script(self) -> &'static str {
        match self {
            Shell::Bash => BASH,
            Shell::Zsh => ZSH,
            Shell::Fish => FISH,
            Shell::Powershell => POWERSHELL,
        }
    }

    /// The name that the script's file has where shells look for such files.
    pub fn file(self) -> &'static str {
        match self {
            Shell::Bash => "kubectl-byocni.bash",
            Shell::Zsh => "_kubectl-byocni",
            Shell::Fish => "kubectl-byocni.fish",
            Shell::Powershell => "kubectl-byocni.ps1",
        }
    }
}

/// The executable that kubectl runs, where packages want a file; `completion install` makes a link instead.
pub const FOR_KUBECTL: &str = r#"#!/bin/sh
# kubectl runs this for `kubectl byocni <TAB>`. It must lie on the PATH, as the plugin does.
exec kubectl-byocni __complete "$@"
"#;

const BASH: &str = r#"# bash completion for kubectl-byocni, called by its own name: source <(kubectl-byocni completion bash)
# For `kubectl byocni <TAB>`: kubectl byocni completion install

__kubectl_byocni() {
    local line=${COMP_LINE:0:COMP_POINT} words=() at=-1 piece= i
    # Bash also cuts words at = and : (COMP_WORDBREAKS). What no space parts is one word to us.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        if [[ $at -lt 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            at=$((at + 1))
            words[at]=
        fi
        piece=${COMP_WORDS[i]}
        [[ $i -lt $COMP_CWORD ]] || piece=$line
        words[at]+=$piece
        line=${line#"$piece"}
    done
    for ((i = 0; i <= at; i++)); do
        words[i]=${words[i]//[\"\'\\]/}
    done
    # What of the word bash itself does not replace.
    local typed=${words[at]} kept flag=
    [[ $piece == [=:] ]] && piece=
    kept=${typed%"$piece"}
    [[ $typed == -*=* ]] && flag=${typed%%=*}=

    local program=${words[0]/#\~\//$HOME/} said directive=0 value values=() texts=() longest=0
    said=$("$program" __complete "${words[@]:1}" 2>/dev/null) || return 0
    while IFS= read -r line; do
        if [[ $line =~ ^:[0-9]+$ ]]; then
            directive=${line#:}
            continue
        fi
        value=$flag${line%%$'\t'*}
        [[ -n $line && $value == "$typed"* ]] || continue
        value=${value#"$kept"}
        values+=("$value")
        [[ $line == *$'\t'* ]] && texts+=("${line#*$'\t'}") || texts+=("")
        [[ ${#value} -le $longest ]] || longest=${#value}
    done <<<"$said"

    COMPREPLY=("${values[@]}")
    if [[ ${#values[@]} -gt 1 && " 33 63 64 " == *" $COMP_TYPE "* ]]; then
        # A list for the eye: nothing of it is put into the line but what all have in front.
        local room=$((${COLUMNS:-80} - longest - 4))
        for ((i = 0; i < ${#values[@]}; i++)); do
            [[ -z ${texts[i]} || $room -lt 12 ]] ||
                printf -v "COMPREPLY[i]" '%-*s  (%s)' "$longest" "${values[i]}" "${texts[i]:0:room}"
        done
    fi
    [[ $(type -t compopt) == builtin ]] || return 0
    if [[ ${#values[@]} -eq 0 && $((directive & 16)) -ne 0 ]]; then
        compopt -o dirnames
    elif [[ ${#values[@]} -eq 0 && $((directive & 4)) -eq 0 ]]; then
        compopt -o default
    fi
    [[ $((directive & 2)) -eq 0 ]] || compopt -o nospace
    [[ $((directive & 32)) -eq 0 ]] || compopt -o nosort 2>/dev/null
    return 0
}

if [[ $(type -t compopt) == builtin ]]; then
    complete -F __kubectl_byocni kubectl-byocni
else
    # Bash 3.2 cannot be told while it completes: it offers files where we offer nothing.
    complete -o default -F __kubectl_byocni kubectl-byocni
fi
"#;

const ZSH: &str = r#"#compdef kubectl-byocni
# zsh completion for kubectl-byocni, called by its own name: source <(kubectl-byocni completion zsh), or this file as
# _kubectl-byocni in a folder of $fpath. For `kubectl byocni <TAB>`: kubectl byocni completion install

_kubectl-byocni() {
    local program=${(Q)words[1]} typed=${(Q)PREFIX} said line value
    local -a before found order space
    local -i directive=0
    [[ $program == \~/* ]] && program=$HOME/${program#\~/}
    (( CURRENT > 2 )) && before=("${(@Q)words[2,CURRENT-1]}")
    said=$("$program" __complete "${before[@]}" "$typed" 2>/dev/null) || return 1
    for line in "${(@f)said}"; do
        if [[ $line == :<-> ]]; then
            directive=${line#:}
        elif [[ -n $line ]]; then
            value=${${line%%$'\t'*}//:/\\:}
            [[ $line == *$'\t'* ]] && value+=:${line#*$'\t'}
            found+=("$value")
        fi
    done
    [[ $PREFIX == -*=* ]] && compset -P 1 '*='
    (( directive & 32 )) && order=(-V)
    (( directive & 2 )) && space=(-S '')
    if (( $#found )); then
        _describe $order -t values 'kubectl-byocni' found $space
    elif (( directive & 16 )); then
        _files -/
    elif (( ! (directive & 4) )); then
        _files
    else
        return 1
    fi
}

if [[ $funcstack[1] == _kubectl-byocni ]]; then
    _kubectl-byocni "$@"
else
    compdef _kubectl-byocni kubectl-byocni
fi
"#;

const FISH: &str = r#"# fish completion for kubectl-byocni, called by its own name: kubectl-byocni completion fish | source
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
"#;

const POWERSHELL: &str = r#"# PowerShell completion for kubectl-byocni, called by its own name:
#   kubectl-byocni completion powershell | Out-String | Invoke-Expression
# For `kubectl byocni <TAB>`: kubectl byocni completion install

Register-ArgumentCompleter -Native -CommandName 'kubectl-byocni' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    # The words up to the cursor; the last one is being typed, and may be empty.
    $words = @($commandAst.CommandElements |
        Where-Object { $_.Extent.StartOffset -lt $cursorPosition } |
        ForEach-Object {
            $text = $_.Extent.Text
            $end = $cursorPosition - $_.Extent.StartOffset
            if ($end -lt $text.Length) { $text = $text.Substring(0, $end) }
            $text.Trim('"', "'")
        })
    $program = $words[0]
    $arguments = @($words | Select-Object -Skip 1)
    $typed = ''
    if ($wordToComplete) {
        if ($arguments.Count) { $typed = $arguments[-1] }
    } else {
        # Before 7.3 an empty argument is only passed on if it is quoted.
        $old = $PSVersionTable.PSVersion -lt [version]'7.3' -or $PSNativeCommandArgumentPassing -eq 'Legacy'
        $arguments += if ($old) { '""' } else { '' }
    }
    $flag = if ($typed -match '^(-[^=]*=)') { $Matches[1] } else { '' }
    $found = @(& $program __complete @arguments 2>$null)
    $directive = 0
    $found | ForEach-Object {
        if ($_ -match '^:(\d+)$') { $directive = [int]$Matches[1]; return }
        if (-not $_) { return }
        $value, $text = $_ -split "`t", 2
        if (-not $text) { $text = $value }
        [System.Management.Automation.CompletionResult]::new("$flag$value", $value, 'ParameterValue', $text)
    }
}
"#;
