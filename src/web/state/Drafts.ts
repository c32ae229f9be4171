/** What was begun and not sent, by conversation, for as long as the page is open. */
import type { Conversation } from "./Model.ts"

const drafts = new Map<Conversation, string>()

export const draftOf = (to: Conversation): string => drafts.get(to) ?? ""

export const keepDraft = (to: Conversation, text: string): void => {
  if (text === "") drafts.delete(to)
  else drafts.set(to, text)
}
