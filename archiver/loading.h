// Loading: the data comes from the folder's files into the segment, and becomes that of this server.
// Archiver, before anybody is served.
#pragma once

#include <functional>

#include "archiver/archiver.h"
#include "archiver/data_manifest.h"

namespace memento {

/// Loads the data, whatever a loader that died has left of it; positions are counted and records written from
/// then on, and DiskState says behind which frame the journal goes on. DiskState::load is still set: what was
/// loaded may be served when the journal's next file is begun. `goes_on`: asked meanwhile whether to end.
Outcome load_data(const ArchiverProcess& process, DataManifest& manifest,
                  const std::function<bool()>& goes_on);

}  // namespace memento
