// DiskControl: while it lives, servers that this process starts have a disk that a test decides about
// (shim/disk_shim.h).
#pragma once

#include <fcntl.h>
#include <sys/mman.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "shm/os/fd.h"
#include "tests/data/shim/disk_shim.h"
#include "tests/integration/test_server.h"

namespace memento::testing {

class DiskControl {
 public:
  /// The disk works.
  DiskControl() {
    const std::string path = outer_.path() + "/control";
    std::ofstream(path) << std::string(4096, '\0');
    const Fd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
    control_ =
        static_cast<ShimControl*>(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
    control_->failures = -1;
    setenv(kShimControlVariable, path.c_str(), 1);
    setenv("LD_PRELOAD", std::filesystem::absolute(program("libmemento-disk-shim.so")).c_str(), 1);
  }
  ~DiskControl() {
    control_->hangs = 0;
    for (const char* name : {kShimControlVariable, kShimFolderVariable, "LD_PRELOAD"}) unsetenv(name);
    munmap(control_, 4096);
  }
  DiskControl(const DiskControl&) = delete;
  DiskControl& operator=(const DiskControl&) = delete;

  ShimControl& shim() { return *control_; }
  /// What is below this folder is on that disk. REQUIRES: no server was started.
  void watch(const std::string& folder) { setenv(kShimFolderVariable, folder.c_str(), 1); }
  void heal() {
    for (std::atomic<int>* error :
         {&control_->write_error, &control_->sync_error, &control_->reserve_error, &control_->rename_error})
      *error = 0;
    control_->hangs = 0;
  }

 private:
  const TemporaryFolder outer_;
  ShimControl* control_ = nullptr;
};

}  // namespace memento::testing
