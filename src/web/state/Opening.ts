/** Changes the one-time code of a link for a token. */
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"

type Exchanged =
  | { readonly _tag: "Token"; readonly token: string }
  | { readonly _tag: "Refused"; readonly why: "used" | "unreachable" }

const decode = Schema.decodeUnknownExit(Schema.Struct({ token: Schema.String }))

export const exchange = async (code: string): Promise<Exchanged> => {
  try {
    const response = await fetch("/open", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ code })
    })
    if (!response.ok) return { _tag: "Refused", why: "used" }
    const body = decode(await response.json())
    return Exit.isSuccess(body) ? { _tag: "Token", token: body.value.token } : { _tag: "Refused", why: "used" }
  } catch {
    return { _tag: "Refused", why: "unreachable" }
  }
}
