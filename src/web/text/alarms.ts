/** What an alarm is about, in a few words. */
import type { AlarmKind } from "../../schema/Alarm.ts"

export const alarmTitles: Record<AlarmKind, string> = {
  changedKey: "A peer’s key changed",
  clonedIdentity: "An identity is in use twice"
}
