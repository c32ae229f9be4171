/** Alarms that a person has understood and put away. */
import { registry } from "./atoms.ts"
import { model } from "./Live.ts"
import { acknowledge, type Alarm } from "./Model.ts"

export const putAway = (alarm: Alarm): void =>
  registry.update(model, (known) => (known === null ? known : acknowledge(known, alarm)))
