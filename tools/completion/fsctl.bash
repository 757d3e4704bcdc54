# bash completion of fsctl. 'fsctl words' answers with the words that may stand at the cursor.
# The line is cut at blanks only: $COMP_WORDS has it cut at ':' and '=', too.
_fsctl() {
    local line=${COMP_LINE:0:COMP_POINT} words IFS=$'\n'
    IFS=$' \t' read -ra words <<<"$line"
    [[ $line != *[[:blank:]] ]] || words+=("")
    COMPREPLY=($(fsctl words $((${#words[@]} - 1)) "${words[@]}" 2>/dev/null))
}
complete -o default -F _fsctl fsctl
