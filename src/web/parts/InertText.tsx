/**
 * What someone else wrote, as text and nothing else. Addresses of web pages can be clicked, but a click only shows where
 * they lead; nothing is ever loaded by being shown.
 */
import { useState } from "react"
import { inertLines } from "../../schema/Text.ts"
import { show } from "../state/View.ts"

const address = /\bhttps?:\/\/[^\s<>"'`]+[^\s<>"'`.,;:!?)\]}]/giu

/** A longer message is folded: nobody's message takes the whole screen unasked. */
const foldedAt = 1_200

const parts = (text: string): ReadonlyArray<{ readonly at: number; readonly text: string; readonly link: boolean }> => {
  const found: Array<{ readonly at: number; readonly text: string; readonly link: boolean }> = []
  let at = 0
  for (const match of text.matchAll(address)) {
    if (match.index > at) found.push({ at, text: text.slice(at, match.index), link: false })
    found.push({ at: match.index, text: match[0], link: true })
    at = match.index + match[0].length
  }
  if (at < text.length) found.push({ at, text: text.slice(at), link: false })
  return found
}

/** Not an anchor, which a middle click would follow at once; and not a button, which would not break across lines. */
const Address = ({ url }: { readonly url: string }) => (
  <span
    role="link"
    tabIndex={0}
    onClick={() => show({ _tag: "Link", url })}
    onKeyDown={(event) => {
      if (event.key === "Enter") show({ _tag: "Link", url })
    }}
    className="cursor-pointer rounded-sm underline decoration-1 underline-offset-3"
  >
    {url}
  </span>
)

export const InertText = ({ text }: { readonly text: string }) => {
  const [open, setOpen] = useState(false)
  const safe = inertLines(text)
  const shown = open || safe.length <= foldedAt ? safe : `${safe.slice(0, foldedAt)}…`
  return (
    <>
      <p dir="auto" className="break-words whitespace-pre-wrap [overflow-wrap:anywhere]">
        {parts(shown).map((part) => (part.link ? <Address key={part.at} url={part.text} /> : part.text))}
      </p>
      {shown !== safe && (
        <button
          type="button"
          onClick={() => setOpen(true)}
          className="mt-1 text-sm font-semibold underline underline-offset-3"
        >
          Show all
        </button>
      )}
    </>
  )
}
