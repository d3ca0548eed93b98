/** Of which types resources are made when they are asked for. */
import { invalid } from '../fhir/outcome.ts';
import type { Maker } from './made.ts';
import { provenances } from './provenances.ts';
import type { ReadSetting } from './setting.ts';
import { auditEvents } from './trail.ts';

/** @throws Refusal 400 where some of these types are made: nothing is left out unsaid */
export function refuseMade(setting: ReadSetting, types: readonly string[], why: string): void {
  const made = types.find((type) => makerOf(setting, type));
  if (made) throw invalid('not-supported', `The ${made}s that this server makes of its trail ${why}`);
}

export function makerOf(setting: ReadSetting, type: string): Maker | undefined {
  if (!setting.trail) return undefined;
  if (type === 'AuditEvent') return auditEvents(setting, setting.trail);
  return type === 'Provenance' ? provenances(setting) : undefined;
}
