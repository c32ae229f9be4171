/** The line to write in. Enter sends, Shift+Enter begins a new line; pictures are pasted, files chosen. */
import { FilePlus2, FolderPlus, SendHorizontal } from "lucide-react"
import { useEffect, useRef, useState } from "react"
import type { Peer } from "../../schema/Peer.ts"
import { byteLength, chatMaxBytes } from "../../schema/Text.ts"
import { receiveFiles } from "../state/Dropping.ts"
import { draftOf, keepDraft } from "../state/Drafts.ts"
import type { Conversation } from "../state/Model.ts"
import { tell } from "../state/Notices.ts"
import { fromClipboard } from "../state/Picking.ts"
import { useAsk } from "../state/useAsk.ts"
import { show } from "../state/View.ts"
import { size } from "../text/format.ts"
import { IconButton } from "./Button.tsx"

export const Composer = ({
  connected,
  peer,
  to
}: {
  readonly to: Conversation
  readonly peer: Peer | undefined
  readonly connected: number
}) => {
  const [text, setText] = useState(() => draftOf(to))
  const { busy, clear, problem, run } = useAsk()
  const line = useRef<HTMLTextAreaElement>(null)
  const files = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  useEffect(() => keepDraft(to, text), [to, text])
  useEffect(() => {
    // On a screen with a keyboard of its own the line is ready to type in; elsewhere it would cover half the page.
    if (matchMedia("(hover: hover) and (min-width: 45rem)").matches) line.current?.focus()
  }, [])
  const bytes = byteLength(text)
  const tooLong = bytes > chatMaxBytes
  const blocked = peer?.trust === "blocked"
  const ready = text.trim() !== "" && !tooLong && !blocked
  const send = async () => {
    if (!ready || busy) return
    const said = text
    setText("")
    const ok = await run((client) =>
      client.messages.say({ payload: { text: said, to: to === "everyone" ? null : to } })
    )
    if (!ok) {
      // What was written meanwhile stays too; and the person may be in another conversation by now.
      const back = [said, draftOf(to)].filter((part) => part !== "").join("\n")
      keepDraft(to, back)
      setText(back)
      if (line.current === null)
        tell("problem", "A message was not sent. It is back in the line that it was written in.")
    }
    line.current?.focus()
  }
  const choose = (input: HTMLInputElement) => {
    receiveFiles([...(input.files ?? [])], to)
    input.value = ""
  }
  const hint = blocked
    ? "This peer is blocked: nothing is sent to it."
    : peer !== undefined && peer.state !== "connected"
      ? "Away now: what you write is kept and delivered when it is back."
      : to === "everyone" && connected === 0
        ? "Nobody is connected now."
        : null
  return (
    <div className="border-t border-line bg-surface px-3 pt-2.5 pb-3 md:px-6 md:pb-4">
      <div className="mx-auto max-w-3xl">
        {hint !== null && <p className="px-2 pb-2 text-sm text-muted">{hint}</p>}
        {(problem !== null || tooLong) && (
          <p role="alert" className="px-2 pb-2 text-sm text-danger">
            {tooLong ? `This is ${size(bytes)} of text, of at most ${size(chatMaxBytes)}. Send it as a file.` : problem}
          </p>
        )}
        <div className="flex items-end gap-1 rounded-2xl border border-edge bg-raised p-1.5 focus-within:border-accent focus-within:ring-1 focus-within:ring-accent">
          <IconButton label="Send files" disabled={blocked} onClick={() => files.current?.click()}>
            <FilePlus2 size={20} aria-hidden />
          </IconButton>
          <IconButton
            label="Send a folder"
            disabled={blocked}
            className="max-sm:hidden"
            onClick={() => folder.current?.click()}
          >
            <FolderPlus size={20} aria-hidden />
          </IconButton>
          <textarea
            ref={line}
            rows={1}
            aria-label={to === "everyone" ? "Message to everyone" : "Message"}
            placeholder={to === "everyone" ? "Write to everyone" : "Write a message"}
            value={text}
            disabled={blocked}
            onChange={(event) => {
              setText(event.target.value)
              clear()
            }}
            onPaste={(event) => {
              const pasted = [...event.clipboardData.files]
              if (pasted.length === 0) return
              event.preventDefault()
              show({ _tag: "Send", picked: fromClipboard(pasted, new Date()), to })
            }}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return
              event.preventDefault()
              void send()
            }}
            className="field-sizing-content max-h-48 min-h-10 min-w-0 flex-1 resize-none bg-transparent px-2 py-2 text-base outline-none"
          />
          <button
            type="button"
            aria-label="Send"
            title="Send"
            disabled={!ready || busy}
            onClick={() => void send()}
            className="inline-grid size-10 shrink-0 place-items-center rounded-xl bg-accent text-on-accent transition-colors hover:bg-accent-strong disabled:bg-sunken disabled:text-muted"
          >
            <SendHorizontal size={19} aria-hidden />
          </button>
        </div>
      </div>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label="Files to send"
        onChange={(event) => choose(event.target)}
      />
      <input
        ref={(element) => {
          folder.current = element
          // React's types know no chooser of directories.
          element?.setAttribute("webkitdirectory", "")
        }}
        type="file"
        hidden
        aria-label="Folder to send"
        onChange={(event) => choose(event.target)}
      />
    </div>
  )
}
