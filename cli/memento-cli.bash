# Completion of memento-cli for bash. Options and commands come from the program itself.

_memento_cli() {
  local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} i
  COMPREPLY=()
  case $previous in
    --protocol) COMPREPLY=($(compgen -W "text resp2 resp3" -- "$word")); return ;;
    --format) COMPREPLY=($(compgen -W "csv jsonl" -- "$word")); return ;;
    -f|--file|--import|--export|--backup|-s|--socket|--dir) COMPREPLY=($(compgen -f -- "$word")); return ;;
    -u|--uri) COMPREPLY=($(compgen -W "memento:// redis:// unix://" -- "$word")); return ;;
    -h|--host) COMPREPLY=($(compgen -A hostname -- "$word")); return ;;
    cluster) COMPREPLY=($(compgen -W "create info check call" -- "$word")); return ;;
  esac
  if [[ $word == -* ]]; then
    COMPREPLY=($(compgen -W "$(${COMP_WORDS[0]} --help 2>/dev/null | grep -oE -- '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,')" -- "$word"))
    return
  fi
  # Behind the command's name come its arguments, of which nothing is known here.
  local commands=" $(${COMP_WORDS[0]} --list-commands 2>/dev/null | tr '\n' ' ')"
  for ((i = 1; i < COMP_CWORD; ++i)); do
    [[ $commands == *" ${COMP_WORDS[i]^^} "* ]] && return
  done
  local upper=${word^^}
  COMPREPLY=($(compgen -W "$commands" -- "$upper") $(compgen -W "top cluster" -- "$word"))
}
complete -F _memento_cli memento-cli
