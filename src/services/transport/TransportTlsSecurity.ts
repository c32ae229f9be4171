/**
 * What both sides of a TLS link insist on: version, keys, protocol, and that the session is a new one. Only the key
 * counts. No authority is asked, and no name and no date is looked at.
 */
import * as Redacted from "effect/Redacted"
import { constants } from "node:crypto"
import * as tls from "node:tls"
import type { PeerId } from "../../schema/PeerId.ts"
import { idOfCertificate } from "../identity/Certificate.ts"
import type { Identity } from "../Identity.ts"
import type { Protocol } from "../Transport.ts"

/** Every protocol a link can be for, as ALPN names it. */
const protocols: ReadonlyArray<Protocol> = ["kith/1", "kith-data/1"]

/** What one node shows of itself in every handshake. */
export interface Security {
  readonly id: PeerId
  readonly context: tls.SecureContext
}

/** The other side of a handshake that is done. */
export interface Known {
  readonly peer: PeerId
  readonly protocol: Protocol
}

export const make = (identity: Identity["Service"]): Security => ({
  id: identity.id,
  context: tls.createSecureContext({
    key: Redacted.value(identity.privateKey),
    cert: identity.certificate,
    minVersion: "TLSv1.3",
    maxVersion: "TLSv1.3",
    // The first is the fastest by far where the processor knows AES, and as strong as anyone needs.
    ciphers: "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384",
    // Keys of other kinds are refused before their signature is checked, which a large RSA key makes expensive.
    sigalgs: "ed25519",
    honorCipherOrder: true,
    // Node cannot keep OpenSSL from sending tickets under TLS 1.3; with this they name a session that nobody kept.
    secureOptions: constants.SSL_OP_NO_TICKET
  })
})

/** The side that listens. */
export const accepting = (security: Security): tls.TLSSocketOptions => ({
  secureContext: security.context,
  requestCert: true,
  rejectUnauthorized: false,
  ALPNProtocols: [...protocols]
})

/** The side that dials. */
export const dialling = (security: Security, protocol: Protocol): tls.ConnectionOptions => ({
  secureContext: security.context,
  rejectUnauthorized: false,
  checkServerIdentity: () => undefined,
  ALPNProtocols: [protocol]
})

/** Who is at the other end, or why it is no node. */
export const identify = (socket: tls.TLSSocket): Known | { readonly problem: string } => {
  // A resumed session shows the certificate of the first one, whoever resumes it.
  if (socket.isSessionReused()) return { problem: "it resumed an old session" }
  const protocol = protocols.find((known) => known === socket.alpnProtocol)
  if (protocol === undefined) return { problem: "it agreed on no protocol of ours (ALPN)" }
  const known = idOfCertificate(socket.getPeerX509Certificate())
  return "problem" in known ? known : { peer: known.id, protocol }
}
