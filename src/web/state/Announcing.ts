/**
 * What happens while nobody looks: said to a screen reader, shown as a notification where the person allowed that and
 * the page is in the background, and counted in the title of the tab.
 */
import * as Atom from "effect/reactivity/Atom"
import type { Event } from "../../schema/Event.ts"
import type { Transfer } from "../../schema/Offer.ts"
import { short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { alarmTitles } from "../text/alarms.ts"
import { stateWord } from "../text/transfers.ts"
import { alarmTotal, offers, unreadTotal } from "./Attention.ts"
import { registry } from "./atoms.ts"
import { listen, model } from "./Live.ts"
import { show, talkTo } from "./View.ts"
import { conversationOf } from "./Model.ts"

/** The newest of what a screen reader should say. The number is another one each time, so that the same words are said again. */
export const spoken = Atom.keepAlive(Atom.make({ number: 0, text: "" }))

/** Has a screen reader say it. */
export const speak = (text: string): void => registry.update(spoken, ({ number }) => ({ number: number + 1, text }))

const key = "kith.notify"

export const canNotify = (): boolean => "Notification" in globalThis

/** Whether notifications are wanted here and allowed by the browser. */
export const notifying = Atom.keepAlive(
  Atom.make(canNotify() && Notification.permission === "granted" && localStorage.getItem(key) === "yes")
)

/** Asks the browser, which asks the person. */
export const setNotifying = async (wanted: boolean): Promise<void> => {
  const allowed = wanted && canNotify() && (await Notification.requestPermission()) === "granted"
  localStorage.setItem(key, allowed ? "yes" : "no")
  registry.set(notifying, allowed)
}

const notify = (title: string, body: string, onClick: () => void): void => {
  if (!registry.get(notifying) || document.visibilityState === "visible") return
  const notification = new Notification(title, { body, icon: "/page/icon.svg" })
  notification.addEventListener("click", () => {
    focus()
    onClick()
    notification.close()
  })
}

/** Offers and ends of transfers that were told, the newest: events about them go on. */
const told = new Set<string>()
const toldMax = 1_000

/** Whether it is told for the first time. */
const isNews = (what: string): boolean => {
  if (told.has(what)) return false
  told.add(what)
  const [oldest] = told
  if (told.size > toldMax && oldest !== undefined) told.delete(oldest)
  return true
}

/** How a transfer ended, where that is news: what was cancelled, or declined here, a person knows. */
const endOf = (transfer: Transfer): string | null => {
  const { direction, name, state } = transfer
  switch (state) {
    case "done":
      return `${inert(name)} is ${direction === "send" ? "sent" : "here"}`
    case "declined":
      return direction === "send" ? `${inert(name)}: ${stateWord(transfer)}` : null
    case "partial":
    case "failed":
      return `${inert(name)}: ${stateWord(transfer)}`
    default:
      return null
  }
}

const announce = (event: Event): void => {
  const known = registry.get(model)
  if (known === null) return
  const nameOf = (id: typeof known.node.id) => inert(known.peers.get(id)?.name ?? short(id))
  if (event._tag === "MessageAdded" && event.message.from !== known.node.id) {
    const { from, text } = event.message
    const line = inert(text.slice(0, 200))
    speak(`${nameOf(from)}: ${line}`)
    notify(nameOf(from), line, () => talkTo(conversationOf(event.message, known.node.id)))
  }
  // It is read aloud by what shows it.
  if (event._tag === "Alarm") notify(alarmTitles[event.kind], inert(event.text), () => undefined)
  if (event._tag === "TransferChanged") {
    const { direction, id, name, peer, state } = event.transfer
    if (direction === "receive" && state === "offered" && isNews(id)) {
      const line = `${nameOf(peer)} offers ${inert(name)}`
      speak(line)
      notify("Kith", line, () => show({ _tag: "Offer", transfer: id }))
    }
    const end = endOf(event.transfer)
    if (end !== null && isNews(`${id} is over`)) {
      speak(end)
      notify("Kith", end, () => undefined)
    }
  }
}

const title = (): void => {
  const waiting = registry.get(unreadTotal) + registry.get(offers).length + registry.get(alarmTotal)
  document.title = waiting === 0 ? "Kith" : `(${waiting}) Kith`
}

export const start = (): void => {
  listen((events) => events.forEach(announce))
  registry.subscribe(unreadTotal, title, { immediate: true })
  registry.subscribe(offers, title, { immediate: true })
  registry.subscribe(alarmTotal, title, { immediate: true })
}
