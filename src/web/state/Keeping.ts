/** Alarms that nobody has put away yet, kept by this browser: closing the page is not having seen them. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { Event } from "../../schema/Event.ts"
import type { Alarm } from "./Model.ts"

const key = "kith.alarms"

const codec = Schema.fromJsonString(Schema.Array(Event.cases.Alarm))
const decode = Schema.decodeUnknownExit(codec)
const encode = Schema.encodeSync(codec)

export const kept = (): ReadonlyArray<Alarm> => {
  const found = decode(localStorage.getItem(key) ?? "[]")
  return Exit.isSuccess(found) ? found.value : []
}

export const keep = (alarms: ReadonlyArray<Alarm>): void => {
  if (alarms.length === 0) localStorage.removeItem(key)
  else localStorage.setItem(key, encode(alarms))
}
