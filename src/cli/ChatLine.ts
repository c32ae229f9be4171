/** What a line that was typed into `kith chat` means. Pure. */

export type Line =
  | { readonly _tag: "Nothing" }
  | { readonly _tag: "Say"; readonly text: string }
  /** To whom from now on; null: everyone. */
  | { readonly _tag: "To"; readonly peer: string | null }
  | { readonly _tag: "Who" }
  | { readonly _tag: "Send"; readonly paths: ReadonlyArray<string> }
  /** The transfer, or null: the only one that waits. */
  | { readonly _tag: "Decide"; readonly accept: boolean; readonly id: string | null }
  | { readonly _tag: "Quit" }
  | { readonly _tag: "Help" }
  | { readonly _tag: "Wrong"; readonly problem: string }

export const help = [
  "/to PEER    talk to one peer; /to alone: to everyone",
  "/who        who is here",
  "/send PATH  send files and directories; names with spaces in quotes",
  "/accept ID  take what is offered; /decline ID: do not. Without ID: the only one",
  "/quit       leave; the node goes on",
  "//text      a message that begins with a slash"
]

/** Words, where quotes keep spaces together and a backslash keeps the next character. */
export const words = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+/g)].map(([word]) =>
    word.replaceAll(/\\(.)|"((?:[^"\\]|\\.)*)"|'([^']*)'/g, (_, escaped: string, double?: string, single?: string) =>
      double === undefined ? (single ?? escaped) : double.replaceAll(/\\(.)/g, "$1")
    )
  )

export const read = (line: string): Line => {
  const text = line.trim()
  if (text === "") return { _tag: "Nothing" }
  if (text.startsWith("//")) return { _tag: "Say", text: text.slice(1) }
  if (!text.startsWith("/")) return { _tag: "Say", text: line.trimEnd() }
  const [command = "", ...rest] = words(text)
  switch (command) {
    case "/to":
      return { _tag: "To", peer: rest.length === 0 ? null : rest.join(" ") }
    case "/who":
      return { _tag: "Who" }
    case "/send":
      return rest.length === 0 ? { _tag: "Wrong", problem: "send what? /send PATH..." } : { _tag: "Send", paths: rest }
    case "/accept":
    case "/decline":
      return { _tag: "Decide", accept: command === "/accept", id: rest[0] ?? null }
    case "/quit":
    case "/exit":
      return { _tag: "Quit" }
    case "/help":
      return { _tag: "Help" }
    default:
      return { _tag: "Wrong", problem: `there is no ${command}; /help lists what there is` }
  }
}
