/**
 * Text that may cross the wire, and the way it is shown. Wire text is well-formed Unicode (a lone surrogate
 * does not survive UTF-8) and is measured in UTF-8 bytes, since that is what costs memory and bandwidth.
 */
import * as Schema from "effect/Schema"

/** Length in UTF-8 bytes; a lone surrogate counts as what stands for it there. Counted, since encoding makes the bytes. */
export const byteLength = (text: string): number => {
  let bytes = text.length
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) continue
    bytes += unit < 0x800 ? 1 : 2
    // Two units of a pair are four bytes.
    if ((unit & 0xfc00) === 0xd800 && (text.charCodeAt(at + 1) & 0xfc00) === 0xdc00) at++
  }
  return bytes
}

/** Well-formed Unicode of `min` to `max` UTF-8 bytes. */
export const bounded = ({ min = 0, max }: { readonly min?: number; readonly max: number }) =>
  Schema.String.check(
    Schema.makeFilter((text: string) => text.isWellFormed() || "holds a lone surrogate, which is not Unicode text", {
      toJsonSchema: () => [{}, true]
    }),
    Schema.makeFilter(
      (text: string) => {
        const bytes = byteLength(text)
        if (bytes > max) return `is ${bytes} bytes of UTF-8, of at most ${max}`
        return bytes >= min || `is ${bytes} bytes of UTF-8, of at least ${min}`
      },
      {
        description: `${min} to ${max} bytes of UTF-8, well-formed`,
        // JSON Schema counts characters, which are at most as many as bytes: an approximation from above.
        toJsonSchema: () => [{ minLength: Math.ceil(min / 4), maxLength: max }, true],
        arbitraryConstraint: { minLength: Math.ceil(min / 4) }
      }
    )
  )

/** The longest chat message, in UTF-8 bytes: a long page of text; more is a file. */
export const chatMaxBytes = 64 * 1024

/** The longest name of a node, in UTF-8 bytes, so that an announcement fits its 512. */
export const nameMaxBytes = 64

/** One chat message. Anything Unicode holds, exactly as typed; showing it safely is `inert`'s concern. */
export const ChatText = bounded({ min: 1, max: chatMaxBytes })

/** What a node calls itself. Chosen by its owner and worth no trust: two peers may share one. */
export const Name = bounded({ min: 1, max: nameMaxBytes })

/** A sentence for a person, on the wire: why something was refused, what failed. */
export const Reason = bounded({ max: 512 })

/** As much of a text as fits, 512 bytes for a reason. */
export const short = (text: string, max = 512): string => {
  let kept = text.toWellFormed()
  while (byteLength(kept) > max) kept = kept.slice(0, Math.floor((kept.length * max) / byteLength(kept)) - 1)
  return kept.toWellFormed()
}

/** A word that a newer version may extend, such as why a link ends. */
export const Word = bounded({ min: 1, max: 64 })

/**
 * Control characters (C0, C1, DEL), bidirectional controls and invisible format characters. Shown as they are,
 * they move a terminal's cursor, recolour it, or make `txt.exe` read as `exe.txt`.
 */
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const unsafe = /[\u0000-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/gu

/** Peer-given text made safe for a terminal or a log: each unsafe character becomes U+FFFD. */
export const inert = (text: string): string => text.toWellFormed().replace(unsafe, "\ufffd")

/** The same, keeping line breaks and tabs, for the body of a message. */
export const inertLines = (text: string): string =>
  text
    .split("\n")
    .map((line) => line.split("\t").map(inert).join("\t"))
    .join("\n")
