/** `kith` alone is `kith up`, and `kith help VERB` is `kith VERB --help`: finds out whether a verb was typed, and which. Pure. */

/** Flags that may stand before the verb and take a value. */
const withValue = ["--data-dir", "--log-level"]

/** Flags that ask about the program itself. */
const aboutItself = ["--help", "-h", "--version", "-v", "--completions"]

/** The verb, and the arguments with it: `up` is put where a verb should be when there is none. */
export const withVerb = (
  args: ReadonlyArray<string>
): { readonly verb: string | null; readonly args: ReadonlyArray<string> } => {
  let at = 0
  while (at < args.length) {
    const arg = args[at] ?? ""
    if (withValue.includes(arg)) at += 2
    else if (withValue.some((flag) => arg.startsWith(`${flag}=`))) at += 1
    else break
  }
  // The value of the last flag is missing: the parser says so best.
  if (at > args.length) return { verb: null, args }
  const first = args[at]
  if (first !== undefined && aboutItself.some((flag) => first === flag || first.startsWith(`${flag}=`))) {
    return { verb: null, args }
  }
  if (first === "help") {
    // As other programs have it: `kith help send`.
    return { verb: null, args: [...args.slice(0, at), ...args.slice(at + 1, at + 2), "--help"] }
  }
  if (first !== undefined && !first.startsWith("-")) return { verb: first, args }
  return { verb: "up", args: [...args.slice(0, at), "up", ...args.slice(at)] }
}
