/**
 * Where a client shows new credentials on a live connection: a SEND to it has the headers of CONNECT, and is never a
 * message, whatever the prefixes are ([STOMP-111] [STOMP-123]).
 */
export const credentialsDestination = '/app/$credentials';
