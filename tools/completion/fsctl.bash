# bash completion of fsctl. 'fsctl words' answers with the words that may stand at the cursor.
_fsctl() {
    local IFS=$'\n'
    COMPREPLY=($(fsctl words "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null))
}
complete -o default -F _fsctl fsctl
