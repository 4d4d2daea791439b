# bash completion for kubectl-byocni, called by its own name: source <(kubectl-byocni completion bash)
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
