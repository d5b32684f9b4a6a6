// The journal is turned off and on while the server runs (CONFIG SET appendonly). Off, the folder's files are
// what the data was then, and MANIFEST says so: no start takes them for the newest data. On, the folder
// begins as a new one does: it is of no use before a first snapshot is complete. Archiver; not thread safe.
#pragma once

#include "archiver/archiver.h"
#include "archiver/archiver_wakeups.h"
#include "archiver/data_manifest.h"

namespace memento {

/// MANIFEST says that the folder is not followed any more; then no change is recorded, and nobody waits for
/// the disk. An Error: MANIFEST could not be written, and all is as it was. REQUIRES: no sync is under way,
/// and no snapshot.
Outcome turn_journal_off(const ArchiverProcess& process, DataManifest& manifest);

/// It was turned off, and not on again yet.
bool is_journal_off(Segment& segment);

/// Until it is turned on, or a signal ends the archiver. On, all changes are recorded, for a journal that is
/// about to begin. When MANIFEST cannot be written it stays off, and is said to be.
void wait_until_on(ArchiverProcess& process, ArchiverWakeups& wakeups);

}  // namespace memento
