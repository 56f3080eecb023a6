import { problemsIn, type Operation } from '../support/history';

const operation = (given: Partial<Operation>): Operation => ({
  client: 1,
  kind: 'refresh',
  grant: 'one',
  generation: 1,
  began: 0,
  ended: 1,
  status: 200,
  result: given.status === undefined || given.status === 200 ? (given.generation ?? 1) + 1 : undefined,
  ...given,
});
const redemption = operation({ kind: 'redeem', generation: 0, result: 1 });

const GOOD: Record<string, Operation[]> = {
  'one after the other': [
    redemption,
    operation({ began: 2, ended: 3 }),
    operation({ generation: 2, began: 4, ended: 5 }),
  ],
  'an answer that was lost, and its repetition': [
    redemption,
    operation({ began: 2, ended: 3, status: 503, error: 'temporarily_unavailable' }),
    operation({ began: 4, ended: 5 }),
    operation({ began: 4, ended: 6 }),
  ],
  'a code that a request without an answer has spent': [
    { ...redemption, status: 503, error: 'temporarily_unavailable', result: undefined },
    operation({ kind: 'redeem', generation: 0, began: 2, ended: 3, status: 400, error: 'invalid_grant' }),
  ],
};

const BAD: Record<string, Operation[]> = {
  'a code that is redeemed twice': [redemption, { ...redemption, began: 2, ended: 3 }],
  'a code that is refused without a reason': [
    operation({ kind: 'redeem', generation: 0, status: 400, error: 'invalid_grant' }),
  ],
  'a generation that is left out': [redemption, operation({ began: 2, ended: 3, result: 3 })],
  'an old token that is accepted': [
    redemption,
    operation({ began: 2, ended: 3 }),
    operation({ generation: 2, began: 4, ended: 5 }),
    operation({ began: 6, ended: 7 }),
  ],
  'a failure of the server': [operation({ status: 500, error: 'server_error' })],
  'a refresh that is refused': [operation({ status: 400, error: 'invalid_grant' })],
  'a response that never came': [operation({ status: 0 })],
};

describe('the check of a history', () => {
  it.each(Object.entries(GOOD))('finds nothing in %s', (_, history) => {
    expect(problemsIn(history)).toEqual([]);
  });

  it.each(Object.entries(BAD))('finds %s', (_, history) => {
    expect(problemsIn(history)).not.toEqual([]);
  });
});
