import { execFileSync } from 'node:child_process';

import { chromium, type Browser } from 'playwright-core';

/** The system's Chromium, for which every name is this machine. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--host-resolver-rules=MAP * 127.0.0.1'],
  });
}

function chromiumPath(): string {
  if (process.env.CHROMIUM_PATH) return process.env.CHROMIUM_PATH;
  for (const name of ['chromium', 'chromium-browser', 'google-chrome']) {
    try {
      return execFileSync('which', [name], { encoding: 'utf8' }).trim();
    } catch {
      // Perhaps it is the next one.
    }
  }
  throw new Error('There is no Chromium: apt-get install chromium, or set CHROMIUM_PATH');
}
