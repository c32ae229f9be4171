/** What requests to the API have in common: how people are named, numbers in queries, and how much one may ask for. */
import * as Schema from "effect/Schema"

/** A name, a short id or an id, as a person types it. */
export const Query = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(256))

/** A whole number in a query. */
export const WholeNumber = (minimum: number, maximum: number) =>
  Schema.NumberFromString.pipe(Schema.check(Schema.isInt(), Schema.isBetween({ minimum, maximum })))

/** Most peers or transfers in one page. */
export const pageMax = 1000

/** How many of a list, in a query. */
export const pageLimit = Schema.optionalKey(WholeNumber(1, pageMax))

/** Most peers in one request to send. */
const receiversMax = 256

/** Peers, or null: everyone who is connected. */
export const To = Schema.NullOr(Schema.Array(Query).check(Schema.isMinLength(1), Schema.isMaxLength(receiversMax)))
