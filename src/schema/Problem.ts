/**
 * Errors as they cross the API: RFC 9457 problem details, `application/problem+json`. The typed error itself travels
 * as the extension member `error`, so that a client of ours gets back the very error the service raised. Pure.
 */
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as ProblemDetails from "effect/http/ProblemDetails"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

export const contentType = ProblemDetails.contentType

/** The members every problem has; `detail` is the error's message, for a person. */
export const members = {
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}

/** An error that can be shown: what it is, and what it says. */
export interface Shown {
  readonly _tag: string
  readonly message: string
}

export interface Body<A> {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly error: A
}

/** What a problem type looks like: stable, and never fetched. */
const typeOf = (tag: string): string => `urn:kith:problem:${tag}`

/** The body of the response that says this. */
export const bodyOf = <A extends Shown>(error: A, status: number, title: string): Body<A> => ({
  type: typeOf(error._tag),
  title,
  status,
  detail: error.message,
  error
})

/** An error class as a response with this status; `body` is `members` with the class as `error`. */
export const problem = <A extends Shown, I>(
  status: number,
  title: string,
  error: Schema.Schema<A>,
  body: Schema.Codec<Body<A>, I>
) =>
  body.pipe(
    Schema.decodeTo(
      Schema.toType(error),
      SchemaTransformation.transform<A, Body<A>>({
        decode: (problem) => problem.error,
        encode: (value) => bodyOf(value, status, title)
      })
    ),
    HttpApiSchema.status(status),
    HttpApiSchema.asJson({ contentType })
  )
