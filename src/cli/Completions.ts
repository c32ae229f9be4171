/**
 * The scripts by which shells complete `kith`: those that the parser makes of its verbs and flags, and to them what
 * only a running node knows, which is who its peers are and which transfers there are. Pure.
 */
import * as Generated from "effect/cli/Completions"

/** After these words comes a peer, or a transfer. */
const peerAfter = ["--to", "--peer", "verify", "block", "unblock", "remove"]
const transferAfter = ["accept", "decline", "pause", "resume", "cancel", "priority", "transfers"]

const bash = `
_kith_live()
{
  local _what="" _dir=() _i _one _now="\${COMP_WORDS[COMP_CWORD]}"
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    ${peerAfter.join("|")}) _what=peers ;;
    ${transferAfter.join("|")}) _what=transfers ;;
  esac
  if [[ -z "$_what" || "$_now" == -* ]]; then
    _kith "$@"
    return
  fi
  for ((_i = 1; _i < COMP_CWORD; _i++)); do
    [[ "\${COMP_WORDS[_i]}" == --data-dir ]] && _dir=(--data-dir "\${COMP_WORDS[_i+1]}")
  done
  COMPREPLY=()
  while IFS= read -r _one; do
    [[ "$_one" == "$_now"* ]] && COMPREPLY+=("$(printf '%q' "$_one")")
  done < <("\${COMP_WORDS[0]}" "\${_dir[@]}" complete "$_what" 2>/dev/null)
}

complete -F _kith_live kith
`

const zsh = `
_kith() {
  local what="" at
  local -a dir found
  case "\${words[CURRENT-1]}" in
    ${peerAfter.join("|")}) what=peers ;;
    ${transferAfter.join("|")}) what=transfers ;;
  esac
  if [[ -z "$what" || "\${words[CURRENT]}" == -* ]]; then
    _kith_static "$@"
    return
  fi
  at=\${words[(I)--data-dir]}
  (( at > 0 && at < CURRENT - 1 )) && dir=(--data-dir "\${(Q)words[at+1]}")
  found=("\${(@f)$("\${(Q)words[1]}" "\${dir[@]}" complete $what 2>/dev/null)}")
  compadd -- "\${(@)found:#}"
}

`

const fish = `
function __kith_live
  set -l words (commandline -opc)
  set -l dir
  set -l at (contains -i -- --data-dir $words); and set dir --data-dir $words[(math $at + 1)]
  command $words[1] $dir complete $argv[1] 2>/dev/null
end
${peerAfter
  .filter((word) => word.startsWith("--"))
  .map((flag) => `complete -c kith -l ${flag.slice(2)} -x -a '(__kith_live peers)'`)
  .join("\n")}
complete -c kith -n '__fish_prev_arg_in ${peerAfter.join(" ")}' -f -a '(__kith_live peers)'
complete -c kith -n '__fish_prev_arg_in ${transferAfter.join(" ")}' -f -a '(__kith_live transfers)'
`

/** The script for a shell. */
export const scriptOf = (shell: Generated.Shell, verbs: Generated.CommandDescriptor): string => {
  const script = Generated.generate("kith", shell, verbs)
  switch (shell) {
    case "bash":
      return `${script}${bash}`
    case "zsh": {
      const end = script.indexOf("# Handle both direct invocation")
      const renamed = script.slice(0, end).replace("\n_kith() {", "\n_kith_static() {")
      return end < 0 ? script : `${renamed}${zsh}${script.slice(end)}`
    }
    case "fish":
      return `${script}${fish}`
    default:
      return script
  }
}
