/** What the page shows now: which conversation, which pane where only one fits, which dialog; and how it looks. */
import * as Atom from "effect/reactivity/Atom"
import type { Transfer } from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { registry } from "./atoms.ts"
import type { Picked } from "./Picking.ts"
import type { Conversation } from "./Model.ts"

export type Pane = "peers" | "chat" | "transfers"

export type Dialog =
  | { readonly _tag: "Add" }
  | { readonly _tag: "Settings" }
  | { readonly _tag: "Diagnostics" }
  | { readonly _tag: "Peer"; readonly peer: PeerId }
  | { readonly _tag: "Verify"; readonly peer: PeerId }
  | { readonly _tag: "Offer"; readonly transfer: Transfer["id"] }
  | { readonly _tag: "Send"; readonly picked: Picked; readonly to: Conversation }
  | { readonly _tag: "Link"; readonly url: string }

export const conversation = Atom.keepAlive(Atom.make<Conversation>("everyone"))
export const pane = Atom.keepAlive(Atom.make<Pane>("chat"))
export const dialog = Atom.keepAlive(Atom.make<Dialog | null>(null))
/** Where the panel of transfers does not fit beside the conversation, it lies over it while this is true. */
export const panel = Atom.keepAlive(Atom.make(false))

/** How many dialogs lie over the page: what is said shortly is then said in the topmost, since all below is dimmed. */
export const modals = Atom.keepAlive(Atom.make(0))

export const talkTo = (next: Conversation): void => {
  registry.set(conversation, next)
  registry.set(pane, "chat")
  registry.set(panel, false)
}

export const show = (next: Dialog | null): void => registry.set(dialog, next)

export const themes = ["system", "light", "dark", "contrast"] as const
export type Theme = (typeof themes)[number]

const themeKey = "kith.theme"

const kept = (): Theme => themes.find((theme) => theme === document.documentElement.dataset["theme"]) ?? "system"

export const theme = Atom.keepAlive(Atom.make<Theme>(kept()))

export const setTheme = (next: Theme): void => {
  registry.set(theme, next)
  if (next === "system") {
    delete document.documentElement.dataset["theme"]
    localStorage.removeItem(themeKey)
  } else {
    document.documentElement.dataset["theme"] = next
    localStorage.setItem(themeKey, next)
  }
}
