/**
 * Who this node is: a key pair and certificate made at first start and kept in the data directory, and an
 * instance made at every start.
 */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { Instance } from "../schema/Id.ts"
import type { PeerId } from "../schema/PeerId.ts"

/** The identity cannot be used as it is; nothing was changed. */
export class IdentityError extends Schema.TaggedError<IdentityError>()("IdentityError", {
  path: Schema.String,
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.problem}. ${this.remedy}`
  }
}

export class Identity extends Context.Service<
  Identity,
  {
    readonly id: PeerId
    readonly instance: Instance
    /** PEM. */
    readonly certificate: string
    /** PEM, PKCS #8. */
    readonly privateKey: Redacted.Redacted
  }
>()("kith/services/Identity") {}
