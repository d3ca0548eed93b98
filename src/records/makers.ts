/** Of which types resources are made when they are asked for. */
import type { Maker } from './made.ts';
import { provenances } from './provenances.ts';
import type { ReadSetting } from './setting.ts';
import { auditEvents } from './trail.ts';

export function makerOf(setting: ReadSetting, type: string): Maker | undefined {
  if (!setting.trail) return undefined;
  if (type === 'AuditEvent') return auditEvents(setting, setting.trail);
  return type === 'Provenance' ? provenances(setting) : undefined;
}
