/** What a person must see, as every face shows it, until someone puts it away. */
import * as Schema from "effect/Schema"
import { AlarmId } from "./Id.ts"
import { PeerId } from "./PeerId.ts"

/** changedKey: a known name or address came with another key. clonedIdentity: two nodes run with one identity. */
export const AlarmKind = Schema.Literals(["changedKey", "clonedIdentity"])
export type AlarmKind = typeof AlarmKind.Type

export const Alarm = Schema.Struct({
  id: AlarmId,
  kind: AlarmKind,
  peer: PeerId,
  text: Schema.String,
  /** When it was raised last, in milliseconds since 1970. */
  at: Schema.Int
})
export type Alarm = typeof Alarm.Type

/** No open alarm has that id, or not any more. */
export class UnknownAlarm extends Schema.TaggedError<UnknownAlarm>()("UnknownAlarm", { id: Schema.String }) {
  override get message(): string {
    return `no open alarm has the id "${this.id}". List them with: kith alarms`
  }
}
