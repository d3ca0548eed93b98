/** The settings of the embedded PostgreSQL, each with its reason. */
import { totalmem } from 'node:os';

const MB = 1024 * 1024;

/** The memory this process may count on: the machine's, or less where a container limits it. */
const memory = (): number => Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY);

/**
 * The settings of one start. They go on the command line, not into postgresql.conf: what a later version of
 * this project finds better then holds from its first start, in clusters of any age.
 *
 * @param bytes memory to plan with
 */
export function settings(bytes: number = memory()): Record<string, string> {
  const part = (share: number, least: number, most: number) =>
    `${Math.round(Math.min(most, Math.max(least, (bytes * share) / MB)))}MB`;
  return {
    // Reached from this machine only, and by password: a socket file would add nothing but its 107 byte limit.
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    password_encryption: 'scram-sha-256',
    ssl: 'off',
    max_connections: '100',
    cluster_name: 'consilium',
    // A large Bundle holds up to a thousand locks on identifiers (store/locks.ts); there is room for 25 such.
    max_locks_per_transaction: '256',

    // An eighth, not the usual quarter: Node, its workers and the file cache share this machine.
    shared_buffers: part(1 / 8, 128, 2048),
    effective_cache_size: part(1 / 2, 256, 16_384),
    work_mem: '16MB',
    maintenance_work_mem: part(1 / 32, 64, 512),
    // In files of the cluster: /dev/shm is 64 MB in a container, and systemd-logind empties it when the
    // user who started the server logs out. What lies there without parallel queries is tiny.
    dynamic_shared_memory_type: 'mmap',
    // Many small queries fill both cores by themselves; a parallel plan takes them from the neighbours.
    max_parallel_workers_per_gather: '0',
    // Compiling costs more than these queries take.
    jit: 'off',
    // Disks are SSDs.
    random_page_cost: '1.1',

    // An answered write is on the disk.
    synchronous_commit: 'on',
    // Every checkpoint makes the next change of each page a full-page write: let there be few.
    checkpoint_timeout: '15min',
    max_wal_size: '4GB',
    min_wal_size: '256MB',
    // The build has no lz4, and pglz costs more CPU than the bytes are worth on two cores.
    wal_compression: 'off',

    // Index-only scans, on which searches ride, need the visibility map that vacuum makes, also of rows that
    // were only inserted; statistics of a table just loaded must not wait for a minute.
    autovacuum_naptime: '15s',
    autovacuum_max_workers: '2',
    autovacuum_vacuum_insert_scale_factor: '0.02',
    autovacuum_vacuum_scale_factor: '0.05',
    autovacuum_analyze_scale_factor: '0.02',

    // A query whose server process was killed ends, instead of running on for nobody.
    client_connection_check_interval: '2s',

    // Patient data never stands in a log. ERROR lines quote values (invalid input syntax for …: "…"), and so
    // do DETAIL, CONTEXT, statements and parameters; whoever caused an error is told of it over its connection.
    // What is left is LOG, FATAL and PANIC without their details: starts, stops, crashes, checkpoints.
    log_min_messages: 'log',
    log_error_verbosity: 'terse',
    log_min_error_statement: 'panic',
    log_statement: 'none',
    log_min_duration_statement: '-1',
    log_min_duration_sample: '-1',
    log_duration: 'off',
    log_transaction_sample_rate: '0',
    log_parameter_max_length: '0',
    log_parameter_max_length_on_error: '0',
    log_lock_waits: 'off',
    log_line_prefix: '%m [%p] ',
    // Into the file that the start hands over; a collector would be one more process.
    log_destination: 'stderr',
    logging_collector: 'off',
    TimeZone: 'UTC',
    log_timezone: 'UTC',
  };
}
