/** Alarms that a person has understood and put away. */
import { registry } from "./atoms.ts"
import { keep } from "./Keeping.ts"
import { model } from "./Live.ts"
import { acknowledge, type Alarm } from "./Model.ts"

/** Keeps what has to be seen, also by who opens the page again before having seen it. */
export const start = (): void => {
  registry.subscribe(model, (known) => {
    if (known !== null) keep(known.alarms)
  })
}

export const putAway = (alarm: Alarm): void =>
  registry.update(model, (known) => (known === null ? known : acknowledge(known, alarm)))
