/** A mistake of whoever runs the command: its message is shown, without a stack. */
export class UsageError extends Error {}
