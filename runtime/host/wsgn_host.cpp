// A host of wsgn's engines in C++, to build upon where Python cannot be shipped: an ONNX file and its
// manifest in, logits, scores of frames and segments out, held against golden vectors.
//
//   wsgn-run golden ENGINE.onnx -o golden
//   g++ -std=c++17 -O2 wsgn_host.cpp -I HEADERS -L LIBRARY -lonnxruntime -o wsgn_host
//   ORT_DISABLE_TELEMETRY=1 ./wsgn_host ENGINE.onnx golden
//
// What it computes is docs/manifest.md: every selection rule, segments by one threshold. Engines that
// cut at many thresholds, or pool class logits for their video scores, are scored per frame only.
// Exit code: 0 where all agrees, 1 where something does not, 2 where it cannot be done.
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "documents.hpp"

// ---- The network, by ONNX Runtime's C API.
class Network {
 public:
  explicit Network(const std::string& path) {
    OrtSessionOptions* options = nullptr;
    check(api_->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "wsgn", &env_));
    check(api_->CreateSessionOptions(&options));
    check(api_->SetIntraOpNumThreads(options, 1));
    check(api_->CreateSession(env_, path.c_str(), options, &session_));
    api_->ReleaseSessionOptions(options);
  }
  ~Network() {
    if (session_) api_->ReleaseSession(session_);
    if (env_) api_->ReleaseEnv(env_);
  }
  Network(const Network&) = delete;

  Json manifest() const {
    OrtAllocator* allocator = nullptr;
    OrtModelMetadata* metadata = nullptr;
    char* found = nullptr;
    check(api_->GetAllocatorWithDefaultOptions(&allocator));
    check(api_->SessionGetModelMetadata(session_, &metadata));
    check(api_->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "wsgn.manifest", &found));
    api_->ReleaseModelMetadata(metadata);
    if (!found) fail("the engine has no manifest: export it with export/to_onnx.py");
    const std::string text = found;
    check(api_->AllocatorFree(allocator, found));
    return JsonReader(text).read();
  }

  // Selection logits and class probabilities (N, C) of inputs (N, ...) by their names.
  std::pair<Matrix, Matrix> run(const std::vector<std::string>& names, std::vector<Array>& inputs) {
    OrtMemoryInfo* memory = nullptr;
    check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
    std::vector<const char*> given;
    std::vector<OrtValue*> values(inputs.size(), nullptr);
    for (size_t k = 0; k < inputs.size(); ++k) {
      Array& one = inputs[k];
      const auto type = one.dtype == "uint8" ? ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8
                                             : ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
      check(api_->CreateTensorWithDataAsOrtValue(memory, one.bytes.data(), one.bytes.size(),
                                                 one.shape.data(), one.shape.size(), type, &values[k]));
      given.push_back(names[k].c_str());
    }
    const char* wanted[] = {"selection_logits", "class_probabilities"};
    OrtValue* found[] = {nullptr, nullptr};
    check(api_->Run(session_, nullptr, given.data(), values.data(), values.size(), wanted, 2, found));
    std::pair<Matrix, Matrix> outputs(matrix(found[0]), matrix(found[1]));
    for (OrtValue* value : {found[0], found[1]}) api_->ReleaseValue(value);
    for (OrtValue* value : values) api_->ReleaseValue(value);
    api_->ReleaseMemoryInfo(memory);
    return outputs;
  }

 private:
  void check(OrtStatus* status) const {
    if (!status) return;
    const std::string words = api_->GetErrorMessage(status);
    api_->ReleaseStatus(status);
    fail("ONNX Runtime: " + words);
  }
  Matrix matrix(const OrtValue* value) const {
    OrtTensorTypeAndShapeInfo* info = nullptr;
    int64_t shape[2] = {0, 0};
    float* data = nullptr;
    check(api_->GetTensorTypeAndShape(value, &info));
    check(api_->GetDimensions(info, shape, 2));
    api_->ReleaseTensorTypeAndShapeInfo(info);
    check(api_->GetTensorMutableData(const_cast<OrtValue*>(value), reinterpret_cast<void**>(&data)));
    Matrix found(shape[0]);
    for (int64_t t = 0; t < shape[0]; ++t) found[t].assign(data + t * shape[1], data + (t + 1) * shape[1]);
    return found;
  }

  const OrtApi* api_ = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  OrtEnv* env_ = nullptr;
  OrtSession* session_ = nullptr;
};

// ---- Scores of frames: step 4 of docs/manifest.md.
Row column_of(const Matrix& values, size_t c) {
  Row column;
  for (const Row& row : values) column.push_back(row[c]);
  return column;
}

double mean_of(const Row& values) {
  double total = 0;
  for (double value : values) total += value;
  return total / values.size();
}

struct Scored {
  Matrix frames;   // (T, C)
  Matrix weights;  // before any gate
};

// The mean of a class's components over its snippets (T,); `average` scales each to a mean of 1.
Row weights_of(const Row& x, const Json& rule, size_t c, bool average, const std::string& scale) {
  const double count = x.size(), mean = mean_of(x), largest = *std::max_element(x.begin(), x.end());
  double squares = 0, exponentials = 0;
  for (double value : x) {
    squares += (value - mean) * (value - mean);
    exponentials += std::exp(value - largest);
  }
  const double variance = squares / count + rule.number_or("variance_epsilon", 1e-6);
  const double log_sum = largest + std::log(exponentials), log_mean = log_sum - std::log(count);
  const auto& components = rule.at("components").items;
  if (components.empty()) return Row(x.size(), 1.0);
  Row total(x.size(), 0.0);
  for (const Json& component : components) {
    Row weight;
    for (double value : x) {
      if (component.text == "local_gaussian") {
        weight.push_back(std::exp(-(value - mean) * (value - mean) / variance));
      } else if (component.text == "global_gaussian") {
        const double mu = rule.at("global_mean").items.at(c).number;
        const double apart = (value - mu) / rule.at("global_std").items.at(c).number;
        weight.push_back(std::exp(-apart * apart));
      } else if (component.text == "attention") {
        weight.push_back(1 / (1 + std::exp(-value)));
      } else {
        const double unit = average || scale == "mean_one" || scale == "soft_gate" ? log_mean
                            : scale == "max_one" ? largest : log_sum;
        const double found = std::exp(value - unit);
        weight.push_back(!average && scale == "soft_gate" ? found / (found + 0.1) : found);
      }
    }
    const bool scaled = average && component.text != "temporal_softmax";
    const double share = scaled ? std::max(mean_of(weight), 1.1754943508222875e-38 / count) : 1;
    for (size_t t = 0; t < x.size(); ++t) total[t] += weight[t] / share / components.size();
  }
  return total;
}

Scored score(const Matrix& logits, const Matrix& probabilities, const Json& rule) {
  const bool average = rule.text_or("weight_scale", "per_frame") == "average";
  const std::string gate = rule.text_or("gate", "none"), scale = rule.text_or("softmax_scale", "");
  const double level = rule.number_or("gate_level", 0.1);
  Scored found{probabilities, probabilities};
  for (size_t c = 0; c < logits[0].size(); ++c) {
    const Row x = column_of(logits, c), plain = weights_of(x, rule, c, average, scale);
    const Row gated = gate == "product" ? weights_of(x, rule, c, false, "max_one") : plain;
    for (size_t t = 0; t < x.size(); ++t) {
      double w = gated[t], p = probabilities[t][c];
      if (gate == "cut") w = std::min(w, 1.0);
      if (gate == "soft") w = w / (w + level);
      if (gate == "hard") w = w >= level ? 1 : 0;
      if (rule.at("class_activation").text == "identity") p = std::max(p, 0.0);
      found.frames[t][c] = w * p;
      found.weights[t][c] = plain[t];
    }
  }
  return found;
}

// ---- Segments: step 5 of docs/manifest.md, by one threshold in the middle.
struct Segment {
  std::string label;
  double start, end, score;
};

Matrix smoothed(const Matrix& scores, const Row& epoch, int width) {
  Matrix found = scores;
  const int count = scores.size(), reach = width / 2;
  for (int t = 0; t < count; ++t)
    for (size_t c = 0; c < scores[0].size(); ++c) {
      double total = 0, present = 0;
      for (int other = std::max(0, t - reach); other <= std::min(count - 1, t + reach); ++other)
        if (epoch[other] == epoch[t]) total += scores[other][c], present += 1;
      found[t][c] = total / present;
    }
  return found;
}

std::vector<Segment> segments_of(const Scored& scored, const Matrix& probabilities, const Json& manifest,
                                 const Row& starts, const Row& epoch) {
  const Json &rule = manifest.at("detection"), &selection = manifest.at("selection");
  const Json& sampling = manifest.at("sampling");
  const double length = sampling.at("snippet_length").number / sampling.at("frame_rate").number;
  const double weight = rule.number_or("video_score_weight", 0.2), gap = rule.number_or("merge_gap_seconds", 0);
  const Matrix scores = smoothed(scored.frames, epoch, rule.number_or("smoothing_snippets", 1));
  const size_t num_classes = scores[0].size(), count = scores.size();
  const Json* how = selection.find("video_score");
  const bool pools = how && how->text_or("pooling", "frame_scores") == "weighted";
  Row videos;
  for (size_t c = 0; c < num_classes; ++c) {
    Row values = column_of(scores, c);
    for (size_t t = 0; pools && t < count; ++t) values[t] = scored.weights[t][c] * probabilities[t][c];
    videos.push_back(mean_of(values));
  }
  const double clearest = *std::max_element(videos.begin(), videos.end());
  const std::string gate = selection.text_or("gate", "none");
  const bool open = selection.text_or("weight_scale", "per_frame") == "average" && gate == "none";
  const bool bounded = selection.at("class_activation").text != "identity" &&
                       (!open || selection.at("components").items.empty());
  std::vector<Segment> found;
  for (size_t c = 0; c < num_classes; ++c) {
    const Row curve = column_of(scores, c);
    const double lowest = *std::min_element(curve.begin(), curve.end());
    const double largest = *std::max_element(curve.begin(), curve.end());
    const double least = rule.number_or("peak_gate", 0.75) * rule.at("open_thresholds").items.at(c).number;
    if (videos[c] < rule.number_or("video_score_gate", 0.1) * clearest || largest < least ||
        largest - lowest < 1e-4 * largest)
      continue;
    const double threshold = (lowest + largest) / 2;
    const auto crossing = [&](size_t t) {
      const double share = (threshold - curve[t]) / (curve[t + 1] - curve[t]);
      return starts[t] + length / 2 + share * (starts[t + 1] - starts[t]);
    };
    const auto opens = [&](size_t t) { return t == 0 || epoch[t - 1] != epoch[t]; };
    const auto end_of = [&](size_t t) {
      return t + 1 == count || epoch[t + 1] != epoch[t] ? starts[t] + length : crossing(t);
    };
    for (size_t first = 0; first < count; ++first) {
      if (curve[first] <= threshold) continue;
      size_t last = first;
      for (size_t t = first + 1; t < count && !opens(t); ++t)
        if (curve[t] > threshold &&
            (last == t - 1 || starts[t - 1] + length / 2 - end_of(last) < gap))
          last = t;
        else if (curve[t] > threshold)
          break;
      const double start = opens(first) ? starts[first] : crossing(first - 1), end = end_of(last);
      double mean = mean_of(Row(curve.begin() + first, curve.begin() + last + 1));
      mean = std::max((mean + weight * videos[c]) / (1 + weight), 0.0);
      mean = bounded ? std::min(mean, 1.0) : mean / (1 + mean);
      if (end - start > rule.number_or("minimum_duration_seconds", 1))
        found.push_back({manifest.at("classes").items[c].text, start, end, mean});
      first = last;
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Segment& a, const Segment& b) { return a.start < b.start; });
  return found;
}

// ---- Everything against the golden vectors.
bool agrees(const char* what, double largest, double tolerance) {
  std::printf("%-20s differs by at most %.1e (allowed %.0e)\n", what, largest, tolerance);
  return largest <= tolerance;
}

bool agree(const char* what, const Matrix& have, const Matrix& want, double tolerance) {
  double largest = 0, scale = 1;
  for (size_t t = 0; t < want.size(); ++t)
    for (size_t c = 0; c < want[t].size(); ++c) {
      const double apart = std::abs(have.at(t).at(c) - want[t][c]);
      largest = std::isnan(apart) ? INFINITY : std::max(apart, largest);
      scale = std::max(scale, std::abs(want[t][c]));
    }
  return agrees(what, largest / scale, tolerance);
}

bool compare_segments(const std::vector<Segment>& have, const Json& golden) {
  const auto& want = golden.at("segments").items;
  double seconds = have.size() == want.size() ? 0 : INFINITY, scores = 0;
  for (size_t k = 0; k < std::min(have.size(), want.size()); ++k) {
    const Segment& one = have[k];
    std::printf("  %-12s %8.3f - %8.3f s  %.4f\n", one.label.c_str(), one.start, one.end, one.score);
    if (one.label != want[k].at("label").text) seconds = INFINITY;
    seconds = std::max({seconds, std::abs(one.start - want[k].at("start_seconds").number),
                        std::abs(one.end - want[k].at("end_seconds").number)});
    scores = std::max(scores, std::abs(one.score - want[k].at("score").number));
  }
  const Json& allowed = golden.at("tolerances");
  const bool same = agrees("segments, seconds", seconds, allowed.at("seconds").number);
  return agrees("segments, scores", scores, allowed.at("scores").number) && same;
}

int main(int count, char** words) try {
  if (count != 3) fail("usage: wsgn_host ENGINE.onnx GOLDEN_FOLDER");
  const std::string folder = words[2], text = read_file(folder + "/golden.json");
  const Json golden = JsonReader(text).read(), &allowed = golden.at("tolerances");
  Network network(words[1]);
  const Json manifest = network.manifest(), &selection = manifest.at("selection");
  std::vector<std::string> names;
  std::vector<Array> inputs;
  for (const Json& name : golden.at("inputs").items) {
    names.push_back(name.text);
    inputs.emplace_back(folder, golden, name.text);
  }
  const auto [logits, probabilities] = network.run(names, inputs);
  const auto wanted = [&](const char* name) { return Array(folder, golden, name).matrix(); };
  const double outputs = allowed.at("outputs").number;
  bool same = agree("selection_logits", logits, wanted("selection_logits"), outputs);
  same &= agree("class_probabilities", probabilities, wanted("class_probabilities"), outputs);
  const Scored scored = score(logits, probabilities, selection);
  same &= agree("frame_scores", scored.frames, wanted("frame_scores"), allowed.at("scores").number);
  const Json* how = selection.find("video_score");
  const bool plain = !how || how->text_or("pooling", "frame_scores") == "frame_scores" ||
                     (how->text_or("pooling", "") == "weighted" &&
                      how->text_or("of", "probabilities") == "probabilities" &&
                      how->text_or("activation", "none") == "none" && (!how->find("bias") || how->find("bias")->items.empty()));
  if (manifest.find("proposals") || !plain) {
    std::printf("segments are not compared: this engine's rule for them is not in this host\n");
  } else {
    const Row starts = column_of(wanted("start_seconds"), 0), epoch = column_of(wanted("epoch"), 0);
    same &= compare_segments(segments_of(scored, probabilities, manifest, starts, epoch), golden);
  }
  return same ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "wsgn_host: %s\n", error.what());
  return 2;
}
